# frozen_string_literal: true

require 'fileutils'
require 'json'
require 'open3'
require 'securerandom'
require 'time'

# What is served, on the code volume:
#
#   trees/ID/ENVIRONMENT                   as r10k put it there, never changed afterwards
#   deployments/ID/environments/NAME       a link to the tree of that environment
#   deployments/ID/deployment.json         which commit of it
#   current, previous                      links to deployments
#
# The server's environments are in current/environments: one rename of that link serves a new deployment, and an
# environment that was not deployed anew keeps its tree.
module Served
  ROOT = '/etc/puppet/code'

  class << self
    def path(*parts)
      File.join(ROOT, *parts)
    end

    # The id of the deployment that a link names.
    def id(link)
      File.basename(File.readlink(path(link)))
    rescue Errno::ENOENT, Errno::EINVAL
      nil
    end

    def read(id)
      JSON.parse(File.read(path('deployments', id, 'deployment.json')))
    rescue Errno::ENOENT, JSON::ParserError
      nil
    end

    # Makes a link name a deployment, at once.
    def link(name, id)
      fresh = path("#{name}.new")
      FileUtils.rm_f(fresh)
      File.symlink("deployments/#{id}", fresh)
      File.rename(fresh, path(name))
    end

    # Serves what was staged. Done twice, it finds nothing staged, and that is well.
    def switch
      staged = id('staged')
      if staged
        old = id('current')
        link('previous', old) if old && old != staged
        File.rename(path('staged'), path('current'))
      end
      raise Failure, 'nothing was ever deployed' unless id('current')

      clear
      say('done', "serving deployment #{id('current')}")
    end

    def undo
      before = id('previous')
      raise Failure, 'there is no deployment before the one that is served' unless before && read(before)
      raise Failure, 'the deployment before is the one that is served' if before == id('current')

      link('staged', before)
      switch
    end

    # Removes what neither link needs: older deployments, and what interrupted runs left.
    def clear
      kept = [id('current'), id('previous'), id('staged')].compact.uniq
      (children('deployments') - kept).each { |id| FileUtils.rm_rf(path('deployments', id)) }
      needed = kept.flat_map { |id| (read(id) || { 'environments' => [] })['environments'].map { |e| e['tree'] } }
      children('trees').each do |id|
        children('trees', id).each do |name|
          FileUtils.rm_rf(path('trees', id, name)) unless needed.include?("#{id}/#{name}")
        end
        Dir.rmdir(path('trees', id)) if children('trees', id).empty?
      end
    end

    def children(*parts)
      Dir.children(path(*parts))
    rescue Errno::ENOENT
      []
    end
  end
end

# One run of r10k, checked and made ready to be served.
class Deploy
  SECRETS = '/var/lib/pupperware-code'
  HELD = '/tmp/held'
  NAME = /\A\w+\z/.freeze

  def initialize(url)
    raise Failure, 'stage wants a URL' unless url

    @url = url
    @id = "#{Time.now.utc.strftime('%Y%m%dT%H%M%SZ')}-#{SecureRandom.hex(3)}"
  end

  def stage(names)
    FileUtils.rm_f(Served.path('staged'))
    Served.clear
    take_secrets
    heads = branches
    chosen = choose(heads, names)
    r10k(chosen)
    check(chosen)
    kept = names.empty? ? [] : (Served.read(Served.id('current').to_s) || { 'environments' => [] })['environments']
    write(kept.reject { |e| chosen.include?(e['name']) } + chosen.map { |name| described(name) })
    Served.link('staged', @id)
    @ready = true
    say('done', "staged #{chosen.join(', ')}")
  ensure
    Served.clear unless @ready
  end

  private

  # From the container's layer, which is on a disk, into memory.
  def take_secrets
    FileUtils.mkdir_p(HELD, mode: 0o700)
    Dir.children(SECRETS).each { |name| FileUtils.mv(File.join(SECRETS, name), HELD) }
    ENV['GIT_TERMINAL_PROMPT'] = '0'
    ssh = ['ssh', '-o BatchMode=yes', '-o ConnectTimeout=20', '-o StrictHostKeyChecking=yes', '-o IdentitiesOnly=yes',
           "-o UserKnownHostsFile=#{HELD}/known_hosts", '-o GlobalKnownHostsFile=/dev/null']
    ssh << "-i #{HELD}/ssh_key" if File.exist?("#{HELD}/ssh_key")
    ENV['GIT_SSH_COMMAND'] = ssh.join(' ')
    # Both for the repository's own host only.
    host = @url[%r{\Ahttps://(?:[^/@]*@)?[^/]+}].to_s.sub(%r{//[^/@]*@}, '//')
    { 'ca' => ["http.#{host}.sslCAInfo", "#{HELD}/ca"],
      'token' => ["credential.#{host}.helper", '/usr/local/bin/pupperware-git-credential'] }.each do |file, setting|
      system('git', 'config', '--global', *setting) if File.exist?("#{HELD}/#{file}")
    end
  end

  # Branch -> commit, from the repository itself: the quickest way to learn that it cannot be reached.
  def branches
    say('progress', "asking #{@url}")
    output, errors, status = Open3.capture3('git', 'ls-remote', '--heads', '--', @url)
    raise Failure.new("the control repository #{@url} cannot be read", errors.lines.map(&:strip)) unless status.success?

    heads = output.lines.to_h { |line| line.chomp.split("\t").values_at(1, 0) }
    heads.transform_keys { |ref| ref.delete_prefix('refs/heads/') }
  end

  def choose(heads, names)
    bad = names.find { |name| name !~ NAME }
    raise Failure, "#{bad.inspect} cannot be an environment: Puppet takes letters, digits and _" if bad

    missing = names - heads.keys
    raise Failure.new("the control repository has no branch #{missing.first}", ["it has: #{heads.keys.sort.join(', ')}"]) if missing.any?
    return names.uniq unless names.empty?

    good, bad = heads.keys.sort.partition { |name| name =~ NAME }
    bad.each { |name| say('warning', "branch #{name} is left out: an environment's name is made of letters, digits and _") }
    raise Failure, 'the control repository has no branch that can be an environment' if good.empty?

    say('warning', 'there is no branch production, the environment of agents that name none') unless good.include?('production')
    good
  end

  def r10k(names)
    FileUtils.mkdir_p(tree)
    settings = {
      'cachedir' => Served.path('cache'), 'git' => { 'provider' => 'shellgit' },
      'sources' => { 'control' => { 'remote' => @url, 'basedir' => tree, 'invalid_branches' => 'error' } }
    }
    File.write('/tmp/r10k.yaml', JSON.generate(settings))
    say('progress', "r10k deploys #{names.join(', ')}")
    command = ['r10k', 'deploy', 'environment', *names, '--modules', '--config', '/tmp/r10k.yaml', '--color=false']
    output, status = caching { Open3.capture2e(*command) }
    gone = names.reject { |name| File.exist?("#{tree}/#{name}/.r10k-deploy.json") }
    return if status.success? && gone.empty?

    raise Errno::ENOSPC if output.include?('No space left on device')

    raise Failure.new("r10k cannot deploy #{names.join(', ')}", output.lines.map(&:strip).reject(&:empty?).last(20))
  end

  # A run that is killed can leave half a copy of a repository in the cache, which r10k would take for a whole one.
  def caching
    cache = Served.path('cache')
    busy = "#{cache}/.busy"
    FileUtils.rm_rf(cache) if File.exist?(busy)
    FileUtils.mkdir_p(cache)
    FileUtils.touch(busy)
    told = yield
    FileUtils.rm_f(busy) if told.last.success?
    told
  end

  def check(names)
    problems = Check.environments(names.map { |name| [name, "#{tree}/#{name}"] })
    raise Failure.new("the code has #{Check.count(problems)}, so it is not served", problems) if problems.any?
  end

  def described(name)
    told = JSON.parse(File.read("#{tree}/#{name}/.r10k-deploy.json"))
    { 'name' => name, 'commit' => told['signature'], 'deployed_at' => Time.now.utc.iso8601, 'tree' => "#{@id}/#{name}" }
  end

  def write(environments)
    folder = Served.path('deployments', @id)
    FileUtils.mkdir_p("#{folder}/environments")
    environments = environments.sort_by { |e| e['name'] }
    # Puppet resolves such a link where it stands in the whole, so it has to be absolute; a compilation under way then
    # goes on in the tree that it began with.
    environments.each { |e| File.symlink(Served.path('trees', e['tree']), "#{folder}/environments/#{e['name']}") }
    told = { 'id' => @id, 'url' => @url, 'deployed_at' => Time.now.utc.iso8601, 'environments' => environments }
    File.write("#{folder}/deployment.json", JSON.pretty_generate(told))
  end

  def tree
    Served.path('trees', @id)
  end
end
