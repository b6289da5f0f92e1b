-- Lets a request wait, for as long as the variable proc.hold is a time that is yet to come, in seconds since 1970.
core.register_action("hold", { "http-req" }, function(transaction)
    while (tonumber(transaction:get_var("proc.hold")) or 0) > core.now().sec do
        core.msleep(200)
    end
end, 0)
