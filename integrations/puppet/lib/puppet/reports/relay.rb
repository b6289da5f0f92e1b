# frozen_string_literal: true

require 'fileutils'
require 'json'
require 'net/http'
require 'openssl'
require 'puppet'
require 'securerandom'
require 'time'
require 'uri'
require 'yaml'

# Sends what a run changed, would change or failed at to a Relay server.
#
# A server handles a report in one of a few interpreters, which all agents share. So nothing here waits: a report is put
# into a queue, which never blocks. One thread writes what is in the queue to a folder of bounded size, another one sends
# from there, and tries again with growing pauses. So what was taken survives a restart of the server. The Relay server
# knows a report again by its transaction: one that was sent twice counts once. A report too large for one request goes
# in parts, each with resources of its own.
#
# Settings: `relay.yaml` beside `puppet.conf` with `url`, `token_file`, and optionally `ca_file` and `spool_dir`.
Puppet::Reports.register_report(:relay) do
  desc 'Sends what changed to a Relay server, without ever waiting for it.'

  def process
    PuppetX::RelayReport.hand_over(PuppetX::RelayReport.events(self))
  rescue StandardError => e
    Puppet.err("relay report: #{e.class}: #{e.message}")
  end
end

module PuppetX
  # What is sent, and who sends it.
  module RelayReport
    # Events that wait in memory until they are written; what comes then is lost, and the log says so.
    QUEUE = 1_000
    # Events, and bytes, in the folder; what comes then is lost, and the log says so.
    SPOOL = 2_000
    SPOOL_BYTES = 64 << 20
    # Bytes of one request, as far as resources can be told apart: the server takes ten times as much.
    PART = 256 << 10
    # Seconds for a connection, and for an answer.
    OPEN = 3
    READ = 5
    # Seconds between two tries while the server does not answer; what it asks for, up to the last of them, comes first.
    PAUSES = [1, 2, 5, 10, 30, 60, 300].freeze
    # Seconds after which what somebody was about to send is anybody's again.
    STALE = 60
    LOCK = Mutex.new

    # The report's subset that the original processor sends; nothing when nothing happened.
    def self.events(report)
      pending = report.respond_to?(:noop_pending) && report.noop_pending
      return [] if report.status == 'unchanged' && !pending

      head = {
        'host' => report.host, 'noop' => report.noop, 'status' => report.status, 'time' => report.time.utc.iso8601,
        'environment' => report.environment, 'configuration_version' => report.configuration_version,
        'transaction_uuid' => report.transaction_uuid, 'code_id' => report.code_id, 'job_id' => report.job_id,
        'summary' => clean(report.summary)
      }
      parts = parts_of(resources(report))
      parts.each_with_index.map do |resources, at|
        number = parts.size > 1 ? { 'part' => at + 1, 'parts' => parts.size } : {}
        key = at.zero? ? report.transaction_uuid : "#{report.transaction_uuid}.#{at + 1}"
        { 'data' => head.merge(number, 'resource_statuses' => resources), 'key' => key }
      end
    end

    # What happened to each resource.
    def self.resources(report)
      happened = report.resource_statuses.values.reject do |status|
        status.skipped || (status.change_count.to_i.zero? && status.out_of_sync_count.to_i.zero? && !status.failed)
      end
      happened.map do |status|
        [clean(status.resource), {
          'resource_type' => status.resource_type, 'title' => clean(status.title),
          'change_count' => status.change_count, 'out_of_sync_count' => status.out_of_sync_count,
          'containment_path' => status.containment_path.to_a.map { |element| clean(element) },
          'corrective_change' => status.corrective_change
        }]
      end
    end

    # As many in each as one request carries; one without any when nothing happened to a resource.
    def self.parts_of(resources)
      parts = [{}]
      size = 0
      resources.each do |name, status|
        more = name.bytesize + JSON.generate(status).bytesize
        if size + more > PART && !parts.last.empty?
          parts << {}
          size = 0
        end
        parts.last[name] = status
        size += more
      end
      parts
    end

    # Titles can be anything; JSON is UTF-8.
    def self.clean(text)
      text.nil? ? nil : text.to_s.dup.force_encoding(Encoding::UTF_8).scrub('?')
    end

    # Takes events, and comes back at once.
    def self.hand_over(events)
      return if events.empty?

      sender = LOCK.synchronize { @sender ||= Sender.new(settings).tap(&:start) }
      events.each { |event| sender.hand_over(event) }
    end

    # Beside `puppet.conf`, or beside the file that a link of that name leads to.
    def self.settings
      beside = [Puppet[:confdir]]
      beside << File.dirname(File.realpath(Puppet[:config])) if File.exist?(Puppet[:config])
      file = beside.map { |folder| File.join(folder, 'relay.yaml') }.find { |path| File.exist?(path) }
      raise ArgumentError, "there is no relay.yaml in #{beside.uniq.join(' or ')}" unless file

      found = YAML.safe_load(File.read(file)) || {}
      raise ArgumentError, "#{file}: url and token_file are needed" unless found['url'] && found['token_file']

      { 'spool_dir' => File.join(Puppet[:vardir], 'relay-spool') }.merge(found)
    end

    # A queue, a folder, and the two threads that empty them.
    class Sender
      def initialize(settings)
        @uri = URI.join("#{settings['url'].chomp('/')}/", 'api/events')
        @token_file = settings['token_file']
        @ca_file = settings['ca_file']
        @spool = settings['spool_dir']
        @queue = SizedQueue.new(QUEUE)
        @threads = {}
        @starting = Mutex.new
        FileUtils.mkdir_p(@spool, mode: 0o700)
      end

      # Starts what is not running, and sees to it that a process that ends writes down what it has.
      def start
        revive
        at_exit { finish }
      end

      # Takes an event, and comes back at once.
      def hand_over(event)
        @queue.push(JSON.generate(event), true)
        revive
      rescue ThreadError
        lost('too many reports wait to be written')
      end

      # Writes down what is in the queue: sending is for who comes next.
      def finish
        keep(@queue.pop(true)) until @queue.empty?
      rescue ThreadError
        nil
      end

      private

      def revive
        @starting.synchronize do
          @threads[:keep] = Thread.new { forever { keep(@queue.pop) } } unless @threads[:keep]&.alive?
          @threads[:send] = Thread.new { send_all } unless @threads[:send]&.alive?
        end
      end

      def forever
        loop { yield }
      rescue StandardError => e
        Puppet.err("relay report: #{e.class}: #{e.message}")
        sleep 5
        retry
      end

      # Sends the oldest one, whenever there is one. While the server does not answer, the pauses grow.
      def send_all
        failures = 0
        forever do
          take_over
          name = oldest
          if name.nil?
            sleep 0.5
          elsif (pause = send_one(name)).nil?
            failures = 0
          else
            failures += 1
            sleep [[pause, PAUSES[[failures, PAUSES.size].min - 1]].max, PAUSES.last].min
          end
        end
      end

      # Several interpreters share the folder: whoever can rename a report has it. What comes back is what `deliver` says.
      def send_one(name)
        file = File.join(@spool, name)
        mine = "#{file}.#{SecureRandom.hex(4)}.sending"
        File.rename(file, mine)
        File.utime(Time.now, Time.now, mine)
        pause = deliver(File.read(mine))
        pause ? File.rename(mine, file) : File.delete(mine)
        pause
      rescue Errno::ENOENT
        nil
      end

      # Nothing when it need not be sent again: it was taken, or never will be. Else the seconds that the server asks for.
      def deliver(text)
        answer = request(text)
        code = answer.code.to_i
        return nil if code.between?(200, 299)

        refused = code.between?(400, 499) && ![401, 403, 408, 425, 429].include?(code)
        Puppet.warning("relay report: the server answers with #{code}#{refused ? '; the report is not sent again' : ''}")
        refused ? nil : answer['retry-after'].to_i
      rescue StandardError => e
        Puppet.debug("relay report: #{e.class}: #{e.message}")
        0
      end

      # The token is read each time, so that another one is used at once.
      def request(text)
        http = Net::HTTP.new(@uri.host, @uri.port)
        http.open_timeout = OPEN
        http.ssl_timeout = OPEN
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
        http.start { |connection| connection.request(request) }
      end

      def keep(text)
        waiting = Dir.children(@spool).map { |name| File.size?(File.join(@spool, name)) || 0 }
        return lost('too many reports wait for the server') if waiting.size >= SPOOL || waiting.sum >= SPOOL_BYTES

        name = File.join(@spool, format('%<time>020d-%<chance>s', time: (Time.now.to_f * 1e6).to_i, chance: SecureRandom.hex(4)))
        File.open("#{name}.new", File::WRONLY | File::CREAT | File::EXCL, 0o600) { |file| file.write(text) }
        File.rename("#{name}.new", "#{name}.json")
      end

      # At most once a minute: a log that fills the disk helps nobody.
      def lost(why)
        now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        return if @told && now - @told < 60

        @told = now
        Puppet.err("relay report: #{why}; some are lost")
      end

      def oldest
        Dir.children(@spool).select { |name| name.end_with?('.json') }.min
      end

      # What somebody was about to send or write, and was killed at.
      def take_over
        now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        return if @looked && now - @looked < STALE

        @looked = now
        Dir.children(@spool).each do |name|
          file = File.join(@spool, name)
          next unless name.end_with?('.sending', '.new') && Time.now - File.mtime(file) > STALE

          name.end_with?('.new') ? File.delete(file) : File.rename(file, file.sub(/\.json\.\h+\.sending\z/, '.json'))
        rescue Errno::ENOENT
          nil
        end
      end
    end
  end
end
