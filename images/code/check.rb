# frozen_string_literal: true

require 'open3'
require 'psych'

# What can be said of code without a node: every manifest parses, every YAML file is one and says nothing twice.
module Check
  CODE = '/etc/puppet/code'
  # Files in one call of the parser: a start of Puppet costs more than a second.
  BATCH = 400
  # What a problem's line is at most; a parser can print a whole file.
  MOST = 300

  class << self
    # Checks environments that are served, all of them when none is named.
    def served(names)
      root = File.directory?("#{CODE}/current/environments") ? "#{CODE}/current/environments" : "#{CODE}/environments"
      there = Dir.children(root).select { |name| File.directory?("#{root}/#{name}") }.sort
      missing = names - there
      raise Failure.new("there is no environment #{missing.first}", ["there are: #{there.join(', ')}"]) if missing.any?

      chosen = names.empty? ? there : names
      problems = environments(chosen.map { |name| [name, File.realpath("#{root}/#{name}")] })
      raise Failure.new("the code has #{count(problems)}", problems) if problems.any?

      say('done', "#{chosen.join(', ')}: manifests and YAML are well-formed")
    end

    # Problems of environments, given as pairs of name and directory: lines that begin with ENVIRONMENT/FILE.
    def environments(pairs)
      pairs.flat_map do |name, root|
        say('progress', "checking #{name}")
        (manifests(root) + yaml(root)).map { |line| "#{name}/#{line}"[0, MOST] }
      end
    end

    def count(problems)
      problems.length == 1 ? '1 problem' : "#{problems.length} problems"
    end

    private

    # Tests and plans of modules are no part of catalogs, and may be wrong on purpose or need another parser.
    def manifests(root)
      files = Dir.glob('**/*.pp', base: root).reject { |file| file =~ %r{(\A|/)(spec|plans|vendor|examples|tests)/} }
      files.sort.each_slice(BATCH).flat_map { |batch| parse(root, batch) }
    end

    def parse(root, files)
      command = ['puppet', 'parser', 'validate', '--color=false', '--confdir=/tmp/puppet', '--vardir=/tmp/puppet', *files]
      output, status = Open3.capture2e(*command, chdir: root)
      return [] if status.success?

      lines = output.lines.map(&:chomp).grep(/\AError:/).map { |line| line.sub(/\AError: /, '') }
      lines = lines.reject { |line| line.start_with?('Found ') || line.start_with?('Try ') }
      lines = ["#{files.first}: #{output.strip}"] if lines.empty?
      lines.map { |line| tidy(line.gsub("#{root}/", '')) }
    end

    # "Could not parse for environment ...: WHY (file: F, line: N, column: M)" -> "F:N: WHY"
    def tidy(line)
      why = line.sub(/\ACould not parse (for environment \S+|\S+): /, '')
      place = why.match(/\s*\(file: (?<file>[^,)]+)(, line: (?<line>\d+))?[^)]*\)/)
      return why unless place

      "#{[place[:file], place[:line]].compact.join(':')}: #{why.sub(place[0], '')}"
    end

    # Hiera's configuration and data, of the environment and of its modules.
    def yaml(root)
      files = Dir.glob(['hiera.yaml', '{data,hieradata}/**/*.{yaml,yml,eyaml}', '*/*/hiera.yaml',
                        '*/*/data/**/*.{yaml,yml}'], base: root)
      files.uniq.sort.flat_map { |file| one_yaml(root, file) }
    end

    def one_yaml(root, file)
      text = File.read("#{root}/#{file}", encoding: 'UTF-8')
      return ["#{file}: not UTF-8"] unless text.valid_encoding?

      tree = Psych.parse_stream(text)
      found = duplicates(tree).map { |key, line| "#{file}:#{line}: the key #{key.inspect} is given twice" }
      # Comments alone are no document, and mean no data.
      top = tree.children.first&.root
      empty = top.nil? || (top.is_a?(Psych::Nodes::Scalar) && top.value.empty?)
      found << "#{file}: not a mapping of keys to values" unless empty || top.is_a?(Psych::Nodes::Mapping)
      found
    rescue Psych::SyntaxError => e
      ["#{file}:#{e.line}: #{[e.problem, e.context].compact.join(' ')}"]
    end

    def duplicates(node)
      found = (node.children || []).flat_map { |child| duplicates(child) }
      return found unless node.is_a?(Psych::Nodes::Mapping)

      keys = node.children.each_slice(2).map(&:first).grep(Psych::Nodes::Scalar).reject { |key| key.value == '<<' }
      twice = keys.group_by(&:value).select { |_, same| same.length > 1 }
      found + twice.map { |value, same| [value, same.last.start_line + 1] }
    end
  end
end
