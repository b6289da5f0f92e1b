# frozen_string_literal: true

require 'fileutils'
require 'json'
require 'net/http'
require 'openssl'
require 'puppet'
require 'securerandom'
require 'uri'
require 'yaml'

# Sends what a run changed, would change or failed at to a Relay server.
#
# A server handles a report in one of a few interpreters, which all agents share. So nothing here waits: a report is put
# into a queue, and a thread of its own sends it, with tight limits on time. What cannot be sent now, or has no place in
# the queue, is written to a folder of bounded size and sent when the server answers again. The server knows a report
# again by its transaction, so that one that was sent twice counts once.
#
# Settings: `relay.yaml` beside `puppet.conf` with `url`, `token_file`, and optionally `ca_file` and `spool_dir`.
Puppet::Reports.register_report(:relay) do
  desc 'Sends what changed to a Relay server, without ever waiting for it.'

  def process
    body = PuppetX::RelayReport.event(self)
    PuppetX::RelayReport.sender.hand_over(body) if body
  rescue StandardError => e
    Puppet.err("relay report: #{e.class}: #{e.message}")
  end
end

module PuppetX
  # What is sent, and who sends it.
  module RelayReport
    # Reports that wait in memory; what comes then goes to the folder.
    QUEUE = 200
    # Reports in the folder; what comes then is lost, and the log says so.
    SPOOL = 2_000
    # Seconds for a connection, and for an answer.
    OPEN = 1
    READ = 2
    # Seconds between two tries while the server does not answer.
    PAUSES = [1, 2, 5, 10, 30, 60].freeze

    # The report's subset that the original processor sends; nothing when nothing happened.
    def self.event(report)
      pending = report.respond_to?(:noop_pending) && report.noop_pending
      return nil if report.status == 'unchanged' && !pending

      happened = report.resource_statuses.values.reject do |status|
        status.skipped || (status.change_count.to_i.zero? && status.out_of_sync_count.to_i.zero? && !status.failed)
      end
      resources = happened.to_h do |status|
        [status.resource, {
          'resource_type' => status.resource_type, 'title' => status.title,
          'change_count' => status.change_count, 'out_of_sync_count' => status.out_of_sync_count,
          'containment_path' => status.containment_path, 'corrective_change' => status.corrective_change
        }]
      end
      { 'data' => {
        'host' => report.host, 'noop' => report.noop, 'status' => report.status, 'time' => report.time.utc.iso8601,
        'environment' => report.environment, 'configuration_version' => report.configuration_version,
        'transaction_uuid' => report.transaction_uuid, 'code_id' => report.code_id, 'job_id' => report.job_id,
        'summary' => report.summary, 'resource_statuses' => resources
      }, 'key' => report.transaction_uuid }
    end

    # The one sender of this interpreter.
    def self.sender
      LOCK.synchronize { @sender ||= Sender.new(settings) }
    end

    LOCK = Mutex.new

    def self.settings
      file = File.join(Puppet[:confdir], 'relay.yaml')
      found = YAML.safe_load(File.read(file)) || {}
      raise ArgumentError, "#{file}: url and token_file are needed" unless found['url'] && found['token_file']

      { 'spool_dir' => File.join(Puppet[:vardir], 'relay-spool') }.merge(found)
    end

    # A thread that sends, and a folder for what it cannot send.
    class Sender
      def initialize(settings)
        @uri = URI.join("#{settings['url'].chomp('/')}/", 'api/events')
        @token_file = settings['token_file']
        @ca_file = settings['ca_file']
        @spool = settings['spool_dir']
        @queue = SizedQueue.new(QUEUE)
        FileUtils.mkdir_p(@spool, mode: 0o700)
        @thread = Thread.new { run }
      end

      # Takes a report, and comes back at once.
      def hand_over(body)
        text = JSON.generate(body)
        @thread = Thread.new { run } unless @thread.alive?
        @queue.push(text, true)
      rescue ThreadError
        keep(text)
      end

      private

      # Sends what comes, and in between what was kept. While the server does not answer, what comes is kept, too.
      def run
        failures = 0
        loop do
          file = oldest
          text = wait(failures.zero? ? (file ? 0 : 5) : PAUSES[[failures, PAUSES.size].min - 1])
          if text && failures.zero?
            deliver(text) || (keep(text) && failures = 1)
          elsif text
            keep(text)
          elsif file
            failures = redeliver(file) ? 0 : failures + 1
          else
            failures = 0
          end
        end
      rescue StandardError => e
        Puppet.err("relay report: #{e.class}: #{e.message}")
        sleep 5
        retry
      end

      # The next report; nothing when none comes in time.
      def wait(seconds)
        ends = now + seconds
        loop do
          return @queue.pop(true)
        rescue ThreadError
          return nil if now >= ends

          sleep 0.1
        end
      end

      def now
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end

      # True when it need not be sent again: it was taken, or never will be.
      def deliver(text)
        http = Net::HTTP.new(@uri.host, @uri.port)
        http.open_timeout = OPEN
        http.read_timeout = READ
        http.write_timeout = READ if http.respond_to?(:write_timeout=)
        http.max_retries = 0
        if @uri.scheme == 'https'
          http.use_ssl = true
          http.verify_mode = OpenSSL::SSL::VERIFY_PEER
          http.ca_file = @ca_file if @ca_file
        end
        request = Net::HTTP::Post.new(@uri.request_uri, 'Content-Type' => 'application/json')
        request['Authorization'] = "Bearer #{File.read(@token_file).strip}"
        request.body = text
        code = http.start { |connection| connection.request(request) }.code.to_i
        return true if code.between?(200, 299)

        refused = code.between?(400, 499) && ![401, 403, 408, 429].include?(code)
        Puppet.warning("relay report: the server answers with #{code}#{refused ? '; the report is not sent again' : ''}")
        refused
      rescue StandardError => e
        Puppet.debug("relay report: #{e.class}: #{e.message}")
        false
      end

      def keep(text)
        if Dir.children(@spool).size >= SPOOL
          Puppet.err('relay report: too many reports wait; one is lost')
          return true
        end
        name = File.join(@spool, format('%<time>020d-%<chance>s', time: (Time.now.to_f * 1e6).to_i, chance: SecureRandom.hex(4)))
        File.open("#{name}.new", File::WRONLY | File::CREAT | File::EXCL, 0o600) { |file| file.write(text) }
        File.rename("#{name}.new", "#{name}.json")
        true
      end

      def oldest
        Dir.children(@spool).select { |name| name.end_with?('.json') }.min
      end

      # Several interpreters share the folder: whoever can rename a report has it.
      def redeliver(name)
        mine = File.join(@spool, "#{name}.#{SecureRandom.hex(4)}.sending")
        File.rename(File.join(@spool, name), mine)
        sent = deliver(File.read(mine))
        sent ? File.delete(mine) : File.rename(mine, File.join(@spool, name))
        sent
      rescue Errno::ENOENT
        true
      end
    end
  end
end
