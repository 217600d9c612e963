"""Settings of Spark on which answers depend: set, read back, and told in the result.

They are one side of docs/sql.md: what is said there of Spark holds under these. A cluster's defaults or `engine.spark.conf`
that say something else are refused, not overruled: whoever set them expects them to hold."""

from sluice_spark.errors import JobError

PINNED = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.caseSensitive": "false",
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "false",
    "spark.sql.decimalOperations.allowPrecisionLoss": "true",
    "spark.sql.storeAssignmentPolicy": "ANSI",
}
ZONE = "user.timezone"


def _same(wanted, found):
    return found is not None and wanted.lower() == found.lower()


def _refuse(name, wanted, found):
    raise JobError("CONFIG", f"Spark has {name} = {found} where {wanted} is wanted: it would give other rows than DuckDB",
                   "take it out of engine.spark.conf and of the cluster's spark-defaults.conf; sluice sets it itself")


def pin(spark):
    """{name: value} as read back."""
    given = spark.sparkContext.getConf()
    found = {}
    for name, wanted in PINNED.items():
        explicit = given.get(name, None)
        if explicit is not None and not _same(wanted, explicit):
            _refuse(name, wanted, explicit)
        spark.conf.set(name, wanted)
        found[name] = spark.conf.get(name)
        if not _same(wanted, found[name]):
            _refuse(name, wanted, found[name])
    zone = spark._jvm.java.util.TimeZone.getDefault().getID()
    if zone not in ("UTC", "Etc/UTC", "GMT", "Z"):
        _refuse(f"-D{ZONE} (the zone of its JVM)", "UTC", zone)
    found[ZONE] = zone
    return found
