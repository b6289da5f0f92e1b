;; Build-time helper of the two JVM images: flattens a class path, and compiles Clojure namespaces ahead of time.
;;
;;   classpath JAR...             prints one explicit class path. Debian's jars name theirs in manifests, with absolute
;;                                paths, which the JVM's class-data archive cannot follow.
;;   compile DIR JAR NAME...      compiles every namespace (NAME may be a Trapperkeeper bootstrap file) to DIR and packs
;;                                all classes, uncompressed, into JAR.
(import '(java.io File FileOutputStream BufferedOutputStream)
        '(java.nio.file Files)
        '(java.util.jar JarFile)
        '(java.util.zip CRC32 ZipEntry ZipOutputStream))
(require '[clojure.string :as str])

(defn manifest-jars [^File jar]
  (with-open [j (JarFile. jar)]
    (when-let [line (some-> (.getManifest j) .getMainAttributes (.getValue "Class-Path"))]
      (vec (for [entry (str/split (str/trim line) #"\s+") :when (seq entry)]
             (if (str/starts-with? entry "/") (File. entry) (File. (.getParentFile jar) entry)))))))

(defn flatten-jars [jars]
  (loop [todo (map #(File. %) jars), seen #{}, found []]
    (if-let [^File jar (first todo)]
      (let [id (.getCanonicalPath jar)]
        (if (or (seen id) (not (.isFile jar)))
          (recur (rest todo) seen found)
          (recur (concat (manifest-jars jar) (rest todo)) (conj seen id) (conj found (.getPath jar)))))
      found)))

(defn namespaces [names]
  (distinct
    (mapcat (fn [n]
              (if (.isFile (File. n))
                (for [line (str/split-lines (slurp n))
                      :let [service (str/trim (str/replace line #"^\s*#" ""))]
                      :when (re-matches #"[a-z0-9.-]+/[a-z0-9-]+" service)
                      :when (or (not (str/starts-with? (str/trim line) "#")) (str/includes? service "disabled-service"))]
                  (first (str/split service #"/")))
                [n]))
            names)))

(defn pack [^File dir jar]
  (with-open [out (ZipOutputStream. (BufferedOutputStream. (FileOutputStream. jar)))]
    (.setMethod out ZipOutputStream/STORED)
    (let [now (System/currentTimeMillis) root (.toPath dir)]
      (doseq [^File f (sort (filter #(.isFile %) (file-seq dir)))]
        (let [data (Files/readAllBytes (.toPath f))
              crc (doto (CRC32.) (.update data))
              entry (doto (ZipEntry. (str (.relativize root (.toPath f))))
                      (.setSize (alength data)) (.setCrc (.getValue crc)) (.setTime now))]
          (.putNextEntry out entry)
          (.write out data)
          (.closeEntry out))))))

(let [[verb & args] *command-line-args*]
  (case verb
    "classpath" (println (str/join ":" (flatten-jars args)))
    "compile" (let [[dir jar & names] args]
                (.mkdirs (File. dir))
                (binding [*compile-path* dir]
                  (doseq [n (namespaces names)]
                    (println "compile" n)
                    (compile (symbol n))))
                (pack (File. dir) jar)))
  (flush)
  (shutdown-agents)
  (System/exit 0))
