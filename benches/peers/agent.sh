# One run of the agent, which asks for its certificate; exits with Puppet's detailed code.
set -u
exec puppet agent --test --color=false --server puppet --certname agent --waitforcert 2
