# frozen_string_literal: true

# Compiles the catalog of every node whose facts are in a file (PuppetDB's factsets, JSON), with the Puppet that is
# installed where this runs. Nothing is applied, stored or sent. A parameter's value leaves only as a part of its hash:
# that tells whether it changed, and nothing else of it.
#
#   ruby compile.rb FACTS WORKERS
#
# Says "compiled" as often as a node is done, and then a line "catalog JSON" for each.

require 'digest'
require 'json'
require 'puppet'

# One node after the other.
module Compile
  class << self
    def prepare
      # Where Puppet makes directories of its own before it has read any setting.
      ENV['HOME'] = '/tmp'
      # The server's own settings, but for what it writes. The public method is for users only.
      Puppet.settings.preferred_run_mode = :server
      settings = ['--confdir', '/etc/puppet', '--vardir', '/tmp/puppet', '--log_level', 'crit']
      Puppet.send(:do_initialize_settings_for_run_mode, :server, settings, true, true, {})
      $LOAD_PATH.unshift('/usr/lib/puppetserver/ruby/vendor_ruby')
      Puppet.push_context(ssl_context: Puppet::SSL::SSLProvider.new.load_context(certname: Puppet[:certname]))
    end

    def one(set)
      told = { node: set['certname'], environment: set['environment'] || 'production' }
      told.merge(resources: resources(catalog(told[:node], told[:environment], values(set))))
    rescue StandardError, ScriptError, SystemStackError => e
      told.merge(error: e.message.to_s.scrub.gsub(/\s*\n\s*/, ' ')[0, 1000])
    end

    private

    def values(set)
      set['facts']['data'].to_h { |fact| [fact['name'], fact['value']] }
    end

    def catalog(certname, name, values)
      # PuppetDB keeps what the certificate said of a node among its facts.
      said = values.delete('trusted') || {}
      trusted = Puppet::Context::TrustedInformation.new(
        'remote', certname, said['extensions'] || {}, said['external'] || {}
      )
      environment = Puppet.lookup(:environments).get!(name)
      Puppet.override(current_environment: environment, trusted_information: trusted) do
        facts = Puppet::Node::Facts.new(certname, values)
        node = Puppet::Node.indirection.find(certname, environment: environment, facts: facts)
        node.trusted_data = trusted.to_h
        node.add_server_facts('serverversion' => Puppet.version.to_s, 'servername' => Puppet[:certname],
                              'serverip' => '127.0.0.1')
        Puppet::Parser::Compiler.compile(node).filter(&:virtual?)
      end
    end

    def resources(catalog)
      catalog.resources.to_h do |resource|
        [resource.ref, resource.to_hash.to_h { |name, value| [name, Digest::SHA256.hexdigest(text(value))[0, 8]] }]
      end
    end

    # The same text for the same value in every version of Puppet.
    def text(value)
      case value
      when Hash then "{#{value.map { |key, inner| "#{text(key)}=>#{text(inner)}" }.sort.join(',')}}"
      when Array then "[#{value.map { |inner| text(inner) }.join(',')}]"
      when Puppet::Pops::Types::PSensitiveType::Sensitive then text(value.unwrap)
      when Puppet::Resource then value.ref
      else value.to_s
      end
    end
  end
end

path, workers = ARGV
workers = workers.to_i
sets = JSON.parse(File.read(path)).sort_by { |set| [set['environment'].to_s, set['certname']] }
Compile.prepare
pids = Array.new(workers) do |worker|
  fork do
    File.open("/tmp/catalogs.#{worker}", 'w') do |out|
      sets.each_with_index.select { |_, at| at % workers == worker }.each do |set, _|
        out.puts(JSON.generate(Compile.one(set)))
        $stdout.syswrite("compiled\n")
      end
    end
  end
end
ended = pids.map { |pid| Process.wait2(pid).last }
abort("a compilation broke down: #{ended.reject(&:success?).first}") unless ended.all?(&:success?)
workers.times { |worker| File.foreach("/tmp/catalogs.#{worker}") { |line| $stdout.write("catalog #{line}") } }
