# One run of the agent, which asks for its certificate; then it stays, as a node does.
set -u
puppet agent --test --color=false --server puppet --certname agent --waitforcert 2
exec sleep infinity
