# agents.rb AGENTS [SECONDS] [RATE]: simulated agents, each with a key and a certificate of its own, that do over one TLS
# connection what an agent's run does: node, catalog with facts, report. Needs nothing but Ruby.
#
# Closed loop (no RATE): each agent begins its next run when the last one is over. Open loop: RATE runs a second begin in
# all, however long the others take; a run that no agent is free for is counted as `late`.
# Without SECONDS (or 0): until the file /tmp/stop is there. `/tmp/go` is there as soon as all have certificates.
#
# Prints one JSON document: requests and failures by kind, failures by cause, runs, a histogram of latencies in
# milliseconds with its quantiles, how many catalogs each server compiled, and the longest gap between two good answers.
#
# A new agent asks the CA to sign, and waits for it. Environment: SERVER (puppet), PORT (8140), PREFIX and DOMAIN of the
# names (node, load.test), ENVIRONMENT (production), FRESH (1: a new connection for every request).
require 'json'
require 'net/http'
require 'openssl'
require 'time'
require 'cgi'

COUNT = Integer(ARGV.fetch(0))
SECONDS = Float(ARGV[1] || 0)
RATE = ARGV[2] && Float(ARGV[2])
SERVER = ENV.fetch('SERVER', 'puppet')
PORT = Integer(ENV.fetch('PORT', '8140'))
PREFIX = ENV.fetch('PREFIX', 'node')
DOMAIN = ENV.fetch('DOMAIN', 'load.test')
ENVIRONMENT = ENV.fetch('ENVIRONMENT', 'production')
FRESH = ENV['FRESH'] == '1'
DIRECTORY = ENV.fetch('DIRECTORY', '/tmp/agents')
CA = "#{DIRECTORY}/ca.pem"

# Everything that is counted. One lock: the work is in OpenSSL and the servers.
class Figures
  def initialize
    @lock = Mutex.new
    @done = Hash.new(0)
    @failed = Hash.new(0)
    @causes = Hash.new(0)
    @servers = Hash.new(0)
    @latencies = Hash.new { |all, kind| all[kind] = [] }
    @runs = @late = 0
    @last = nil
    @gap = 0.0
  end

  def good(kind, seconds, server)
    @lock.synchronize do
      now = clock
      @gap = [@gap, now - @last].max if @last
      @last = now
      @done[kind] += 1
      @latencies[kind] << seconds
      @servers[server] += 1 if server
    end
  end

  def bad(kind, cause)
    @lock.synchronize do
      @failed[kind] += 1
      @causes["#{kind}: #{cause}"] += 1
      warn "#{Time.now.utc.iso8601(3)} #{kind}: #{cause}"
    end
  end

  def run
    @lock.synchronize { @runs += 1 }
  end

  def late
    @lock.synchronize { @late += 1 }
  end

  def to_h(seconds)
    {
      agents: COUNT, seconds: seconds.round(1), runs: @runs, late: @late,
      requests: @done, failed: @failed, causes: @causes, catalogs_by_server: @servers,
      catalogs_per_second: (@done['catalog'] / seconds).round(2), longest_gap_ms: (@gap * 1000).round,
      latency_ms: @latencies.transform_values { |all| spread(all) }
    }
  end

  private

  def spread(all)
    sorted = all.sort
    at = ->(q) { (sorted[[(sorted.size * q).ceil - 1, 0].max] * 1000).round(1) }
    # Powers of two: 1, 2, 4 ... milliseconds.
    histogram = sorted.group_by { |s| 2**[Math.log2([s * 1000, 1].max).ceil, 0].max }.transform_values(&:size)
    { p50: at[0.5], p95: at[0.95], p99: at[0.99], max: at[1.0], histogram: histogram.sort.to_h }
  end
end

def clock
  Process.clock_gettime(Process::CLOCK_MONOTONIC)
end

# One agent.
class Agent
  attr_reader :name

  def initialize(number, figures)
    @name = "#{PREFIX}-#{number}.#{DOMAIN}"
    @figures = figures
    @key_file = "#{DIRECTORY}/#{@name}.key"
    @file = "#{DIRECTORY}/#{@name}.pem"
  end

  # Asks the CA, and waits until it has signed.
  def enrol
    unless File.exist?(@file)
      key = OpenSSL::PKey::EC.generate('prime256v1')
      File.write(@key_file, key.to_pem)
      request = OpenSSL::X509::Request.new
      request.version = 0
      request.subject = OpenSSL::X509::Name.new([['CN', @name]])
      request.public_key = key
      request.sign(key, OpenSSL::Digest.new('SHA256'))
      put = Net::HTTP::Put.new("/puppet-ca/v1/certificate_request/#{@name}", 'Content-Type' => 'text/plain')
      put.body = request.to_pem
      answer = connection(nil).start { |http| http.request(put) }
      raise "the CA does not take the request of #{@name}: #{answer.code} #{answer.body}" unless answer.code == '200'
      until File.exist?(@file)
        got = connection(nil).start { |http| http.get("/puppet-ca/v1/certificate/#{@name}") }
        got.code == '200' ? File.write(@file, got.body) : sleep(1)
      end
    end
    @certificate = OpenSSL::X509::Certificate.new(File.read(@file))
    @key = OpenSSL::PKey.read(File.read(@key_file))
  end

  # Node, catalog, report. What fails is counted, and ends the run, as it ends an agent's.
  def run
    ask('node', Net::HTTP::Get.new("/puppet/v3/node/#{@name}?environment=#{ENVIRONMENT}", accept)) or return
    post = Net::HTTP::Post.new("/puppet/v3/catalog/#{@name}?environment=#{ENVIRONMENT}", accept)
    post.body = "environment=#{ENVIRONMENT}&facts_format=application%2Fjson&facts=" +
                CGI.escape(CGI.escape(facts.to_json))
    post['Content-Type'] = 'application/x-www-form-urlencoded'
    ask('catalog', post) or return
    put = Net::HTTP::Put.new("/puppet/v3/report/#{@name}?environment=#{ENVIRONMENT}", accept)
    put['Content-Type'] = 'application/json'
    put.body = report.to_json
    ask('report', put) or return
    @figures.run
  end

  private

  def accept
    { 'Accept' => 'application/vnd.puppet.rich+json, application/json' }
  end

  def facts
    values = { hostname: @name, fqdn: @name, networking: { fqdn: @name, hostname: @name }, kernel: 'Linux',
               os: { family: 'Debian', name: 'Debian' }, clientcert: @name, clientversion: '8.10.0', clientnoop: false }
    { name: @name, values: values, timestamp: Time.now.utc.iso8601, expiration: (Time.now + 3600).utc.iso8601 }
  end

  def report
    { host: @name, time: Time.now.utc.iso8601(9), configuration_version: 1, transaction_uuid: uuid, catalog_uuid: uuid,
      report_format: 12, puppet_version: '8.10.0', status: 'unchanged', environment: ENVIRONMENT, noop: false,
      noop_pending: false, corrective_change: false, transaction_completed: true, cached_catalog_status: 'not_used',
      logs: [], metrics: { time: { name: 'time', label: 'Time', values: [['total', 'Total', 0.1]] } },
      resource_statuses: {} }
  end

  def uuid
    h = OpenSSL::Random.random_bytes(16).unpack1('H*')
    "#{h[0, 8]}-#{h[8, 4]}-4#{h[13, 3]}-8#{h[17, 3]}-#{h[20, 12]}"
  end

  def connection(certificate)
    http = Net::HTTP.new(SERVER, PORT)
    http.use_ssl = true
    http.ca_file = CA
    http.open_timeout = 30
    http.read_timeout = 300
    http.keep_alive_timeout = 4
    # Net::HTTP sends what is idempotent again by itself, and puppet does not count on that.
    http.max_retries = 0
    http.cert, http.key = certificate, @key if certificate
    http
  end

  # One request over the agent's connection; true when it was answered well.
  def ask(kind, request)
    began = clock
    begin
      if FRESH || @http.nil? || !@http.started?
        leave
        @http = connection(@certificate).start
      end
      answer = @http.request(request)
    rescue StandardError => e
      leave
      @figures.bad(kind, "#{e.class}: #{e.message}")
      return false
    end
    leave if answer['Connection'].to_s.downcase == 'close'
    if answer.code == '200'
      @figures.good(kind, clock - began, kind == 'catalog' ? answer.body[/compiled-by:([\w.-]+)/, 1] || 'server' : nil)
      return true
    end
    @figures.bad(kind, "#{answer.code} #{answer.body.to_s[0, 120].tr("\n", ' ')}")
    false
  end

  def leave
    @http&.finish if @http&.started?
  rescue StandardError
    # It is gone already.
  ensure
    @http = nil
  end
end

Dir.mkdir(DIRECTORY) unless Dir.exist?(DIRECTORY)
unless File.exist?(CA)
  first = Net::HTTP.new(SERVER, PORT)
  first.use_ssl = true
  # An agent trusts the first answer, too.
  first.verify_mode = OpenSSL::SSL::VERIFY_NONE
  File.write(CA, first.start { |http| http.get('/puppet-ca/v1/certificate/ca').body })
end
figures = Figures.new
agents = (1..COUNT).map { |n| Agent.new(n, figures) }
agents.each_slice(8) { |some| some.map { |agent| Thread.new { agent.enrol } }.each(&:join) }
File.write('/tmp/go', '')
began = clock
over = lambda do
  (SECONDS.positive? && clock - began >= SECONDS) || File.exist?('/tmp/stop')
end
if RATE
  free = Queue.new
  agents.each { |agent| free << agent }
  number = 0
  until over.call
    number += 1
    pause = began + number / RATE - clock
    sleep(pause) if pause.positive?
    begin
      agent = free.pop(true)
      Thread.new { agent.run; free << agent }
    rescue ThreadError
      figures.late
    end
  end
  COUNT.times { free.pop }
else
  agents.map { |agent| Thread.new { agent.run until over.call } }.each(&:join)
end
puts JSON.pretty_generate(figures.to_h(clock - began))
