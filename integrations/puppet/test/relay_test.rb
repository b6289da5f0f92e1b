# frozen_string_literal: true

# The processor with a server that is slow, away, full, or refuses: `ruby integrations/puppet/test/relay_test.rb`.

$LOAD_PATH.unshift(File.join(__dir__, 'stub'), File.join(__dir__, '..', 'lib'))
require 'minitest/autorun'
require 'socket'
require 'tmpdir'
require 'puppet/reports/relay'

# Takes requests one after the other, and answers as it is told.
class Listener
  attr_reader :port, :got
  attr_accessor :answers, :pause

  def initialize(port = 0)
    @server = TCPServer.new('127.0.0.1', port)
    @port = @server.addr[1]
    @got = Queue.new
    @answers = []
    @pause = 0
    @thread = Thread.new { loop { take(@server.accept) } }
  end

  def take(socket)
    head = socket.gets("\r\n\r\n")
    body = socket.read(head[/content-length: (\d+)/i, 1].to_i)
    sleep @pause
    @got << [head, JSON.parse(body)]
    socket.write("HTTP/1.1 #{@answers.shift || '202 Accepted'}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
  rescue SystemCallError, IOError
    nil
  ensure
    socket.close
  end

  def stop
    @thread.kill
    @server.close
  end
end

class RelayReportTest < Minitest::Test
  def setup
    @folder = Dir.mktmpdir
    @listener = Listener.new
    Puppet[:confdir] = @folder
    Puppet[:config] = File.join(@folder, 'puppet.conf')
    Puppet[:vardir] = File.join(@folder, 'var')
    Puppet.log.clear
    File.write(File.join(@folder, 'token'), "s3cret\n")
    settings(@folder)
    fresh
  end

  def teardown
    fresh
    @listener.stop
    FileUtils.remove_entry(@folder)
  end

  # As after a restart of the server: nothing in memory, what is in the folder is still there.
  def fresh
    old = PuppetX::RelayReport.instance_variable_get(:@sender)
    old&.instance_variable_get(:@threads)&.each_value(&:kill)
    PuppetX::RelayReport.instance_variable_set(:@sender, nil)
  end

  def settings(folder)
    text = { 'url' => "http://127.0.0.1:#{@listener.port}", 'token_file' => File.join(@folder, 'token') }.to_yaml
    File.write(File.join(folder, 'relay.yaml'), text)
  end

  def report(transaction, *resources, **other)
    resources = [Report.resource('File', '/etc/motd')] if resources.empty?
    Report.new(transaction, resources, **other).extend(Puppet::Reports.report(:relay))
  end

  # Handles it as a server does, and says how long that took.
  def handle(report)
    before = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    report.process
    Process.clock_gettime(Process::CLOCK_MONOTONIC) - before
  end

  def next_event
    Timeout.timeout(20) { @listener.got.pop }
  end

  def spooled
    folder = File.join(@folder, 'var', 'relay-spool')
    Dir.exist?(folder) ? Dir.children(folder) : []
  end

  def eventually
    Timeout.timeout(20) { sleep 0.02 until yield }
  end

  def test_what_changed_is_sent_with_the_token
    handle(report('t1', Report.resource('File', '/etc/motd'), Report.resource('Service', 'ssh', skipped: true),
                  Report.resource('Exec', 'idle', change_count: 0, out_of_sync_count: 0),
                  Report.resource('Exec', 'broken', change_count: 0, out_of_sync_count: 0, failed: true)))
    head, event = next_event
    assert_match(%r{\APOST /api/events HTTP/1.1\r\n}, head)
    assert_match(/^authorization: Bearer s3cret\r$/i, head)
    assert_equal 't1', event['key']
    data = event['data']
    assert_equal %w[File[/etc/motd] Exec[broken]], data['resource_statuses'].keys
    assert_equal ['web01.example.com', 'changed', 't1', nil], data.values_at('host', 'status', 'transaction_uuid', 'parts')
    assert_equal ['Stage[main]', 'Profile::Base', 'File[/etc/motd]'],
                 data['resource_statuses']['File[/etc/motd]']['containment_path']
    eventually { spooled.empty? }
  end

  def test_nothing_is_sent_when_nothing_happened_and_a_noop_run_that_found_something_is
    handle(report('t1', status: 'unchanged'))
    handle(report('t2', status: 'unchanged', noop: true, noop_pending: true))
    handle(report('t3', Report.resource('File', "/srv/\xff"), status: 'changed'))
    events = [next_event, next_event].map(&:last)
    assert_equal %w[t2 t3], events.map { |event| event['key'] }
    assert_equal ['File[/srv/?]'], events[1]['data']['resource_statuses'].keys, 'what is no UTF-8 is no obstacle'
  end

  def test_a_run_without_a_catalog_is_an_event_without_resources
    failed = Report.new('t1', [], status: 'failed').extend(Puppet::Reports.report(:relay))
    handle(failed)
    assert_equal({}, next_event.last['data']['resource_statuses'])
  end

  # Nothing answers, and a whole fleet reports: no report waits for it, and all are there when the server comes back.
  def test_a_server_that_hangs_holds_up_nobody
    @listener.pause = 60
    times = (1..200).map { |n| handle(report("t#{n}")) }
    assert_operator times.max, :<, 0.5
    eventually { spooled.count { |name| name.end_with?('.json', '.sending') } == 200 }
    assert_empty @listener.got
  end

  def test_what_a_server_did_not_take_is_sent_after_a_restart_of_both
    port = @listener.port
    @listener.stop
    handle(report('t1'))
    handle(report('t2'))
    eventually { spooled.size == 2 }
    fresh
    @listener = Listener.new(port)
    handle(report('t3'))
    assert_equal %w[t1 t2 t3], [next_event, next_event, next_event].map { |_, event| event['key'] }.sort
    eventually { spooled.empty? }
  end

  def test_it_is_sent_again_until_it_is_taken_and_a_refusal_ends_it
    @listener.answers = ['503 Service Unavailable', '401 Unauthorized', "429 Too Many Requests\r\nRetry-After: 1", '202 Accepted',
                         '422 Unprocessable Entity', '202 Accepted']
    handle(report('t1'))
    keys = (1..4).map { next_event.last['key'] }
    assert_equal %w[t1 t1 t1 t1], keys
    handle(report('t2'))
    handle(report('t3'))
    assert_equal %w[t2 t3], [next_event, next_event].map { |_, event| event['key'] }
    eventually { spooled.empty? }
    said = Array.new(Puppet.log.size) { Puppet.log.pop }
    assert(said.any? { |line| line.include?('422; the report is not sent again') }, said.inspect)
    refute(said.any? { |line| line.include?('s3cret') })
  end

  def test_another_token_is_used_at_once
    @listener.answers = ['401 Unauthorized']
    handle(report('t1'))
    next_event
    File.write(File.join(@folder, 'token'), 'other')
    assert_match(/Bearer other/, next_event.first)
  end

  # As large as no request may be: each part tells of resources of its own, and is an event like any other.
  def test_a_large_report_goes_in_parts
    resources = (1..4000).map { |n| Report.resource('File', "/srv/#{n}/#{'x' * 200}") }
    handle(report('big', *resources))
    first = next_event.last
    parts = first['data']['parts']
    assert_operator parts, :>, 5
    all = [first] + (2..parts).map { next_event.last }
    assert_equal ['big'] + (2..parts).map { |n| "big.#{n}" }, all.map { |event| event['key'] }
    assert_equal((1..parts).to_a, all.map { |event| event['data']['part'] })
    assert(all.all? { |event| JSON.generate(event).bytesize < 600 << 10 && event['data']['transaction_uuid'] == 'big' })
    names = all.flat_map { |event| event['data']['resource_statuses'].keys }
    assert_equal resources.map(&:resource), names
  end

  def test_a_full_folder_takes_no_more_and_says_so_once
    folder = File.join(@folder, 'var', 'relay-spool')
    FileUtils.mkdir_p(folder)
    PuppetX::RelayReport::SPOOL.times { |n| File.write(File.join(folder, "9#{n}.other"), 'x') }
    3.times { |n| handle(report("t#{n}")) }
    eventually { !Puppet.log.empty? }
    sleep 0.3
    assert_equal ['err: relay report: too many reports wait for the server; some are lost'],
                 Array.new(Puppet.log.size) { Puppet.log.pop }
  end

  def test_what_somebody_was_killed_at_is_taken_over
    folder = File.join(@folder, 'var', 'relay-spool')
    FileUtils.mkdir_p(folder)
    event = JSON.generate('data' => { 'host' => 'a' }, 'key' => 'left')
    [['1.json.0badcafe.sending', 120], ['2.new', 120], ['3.json.0badcafe.sending', 0]].each do |name, age|
      path = File.join(folder, name)
      File.write(path, event)
      File.utime(Time.now - age, Time.now - age, path)
    end
    handle(report('t1'))
    assert_equal %w[left t1], [next_event, next_event].map { |_, got| got['key'] }.sort
    eventually { spooled == ['3.json.0badcafe.sending'] }
  end

  # A process that ends, as `puppet apply` does after its report, leaves nothing in memory.
  def test_a_process_that_ends_writes_down_what_it_has
    program = <<~RUBY
      $LOAD_PATH.unshift(#{File.join(__dir__, 'stub').inspect}, #{File.join(__dir__, '..', 'lib').inspect})
      require 'puppet/reports/relay'
      { confdir: #{@folder.inspect}, config: '/nowhere', vardir: #{Puppet[:vardir].inspect} }.each { |k, v| Puppet[k] = v }
      Report.new('last', [Report.resource('File', '/x')]).extend(Puppet::Reports.report(:relay)).process
    RUBY
    @listener.stop
    assert system('ruby', '-e', program)
    assert_equal 1, spooled.size
    assert_includes File.read(File.join(Puppet[:vardir], 'relay-spool', spooled.first)), 'last'
    @listener = Listener.new
  end

  # On a platform `puppet.conf` is a link into the folder where the settings are.
  def test_settings_are_found_where_a_link_leads_to_and_their_lack_is_said
    other = Dir.mktmpdir
    File.write(File.join(other, 'puppet.conf'), '')
    File.delete(File.join(@folder, 'relay.yaml'))
    handle(report('t1'))
    assert_match(/err: relay report: ArgumentError: there is no relay.yaml in /, Puppet.log.pop)
    File.symlink(File.join(other, 'puppet.conf'), Puppet[:config])
    settings(other)
    handle(report('t2'))
    assert_equal 't2', next_event.last['key']
    FileUtils.remove_entry(other)
  end
end
