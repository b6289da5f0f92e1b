# frozen_string_literal: true

require 'time'

# As much of Puppet as a report processor touches: settings, the log, and where processors are registered.
module Puppet
  @settings = {}
  @log = Queue.new

  class << self
    attr_reader :log

    def [](name)
      @settings.fetch(name)
    end

    def []=(name, value)
      @settings[name] = value
    end

    %i[err warning debug].each { |level| define_method(level) { |text| @log << "#{level}: #{text}" } }
  end

  # Processors are blocks that become modules, and reports are extended by them.
  module Reports
    @known = {}

    def self.register_report(name, &block)
      @known[name] = Module.new do
        def self.desc(_text); end
        class_eval(&block)
      end
    end

    def self.report(name)
      @known.fetch(name)
    end
  end
end

STATUS = Struct.new(:resource, :resource_type, :title, :change_count, :out_of_sync_count, :containment_path,
                    :corrective_change, :skipped, :failed, keyword_init: true)

# A report as a server has it.
class Report
  attr_reader :host, :noop, :status, :environment, :configuration_version, :transaction_uuid, :code_id, :job_id,
              :summary, :resource_statuses, :noop_pending

  def initialize(transaction, statuses, status: 'changed', noop: false, noop_pending: false)
    @host = 'web01.example.com'
    @noop = noop
    @status = status
    @environment = 'production'
    @configuration_version = 1
    @transaction_uuid = transaction
    @summary = "Changes:\n            Total: 1\n"
    @resource_statuses = statuses.to_h { |one| [one.resource, one] }
    @noop_pending = noop_pending
  end

  def time
    Time.at(0)
  end

  # A resource that changed, unless it is said otherwise.
  def self.resource(type, title, **other)
    STATUS.new(resource: "#{type}[#{title}]", resource_type: type, title: title, change_count: 1, out_of_sync_count: 1,
               containment_path: ['Stage[main]', 'Profile::Base', "#{type}[#{title}]"], corrective_change: false, **other)
  end
end
