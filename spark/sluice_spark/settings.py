"""Settings of Spark on which answers depend: set, read back, and told in the result.

They are one side of docs/sql.md: what is said there of Spark holds under these. A cluster's defaults or `engine.spark.conf`
that say something else are refused, not overruled: whoever set them expects them to hold. So are those of a model that changes them
while it runs."""

from sluice_spark.errors import JobError

PINNED = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    "spark.sql.ansi.relationPrecedence": "true",  # JOIN binds before the comma of a FROM, as in DuckDB
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
    # A file that an executor cannot read, or does not see, is an error and not a table without it.
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    # What a text means.
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.variable.substitute": "false",  # '${env:HOME}'
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.parser.quotedRegexColumnNames": "false",
    "spark.sql.groupByOrdinal": "true",
    "spark.sql.groupByAliases": "true",
    "spark.sql.orderByOrdinal": "true",
    "spark.sql.legacy.ctePrecedencePolicy": "CORRECTED",
    "spark.sql.legacy.exponentLiteralAsDecimal.enabled": "false",
    "spark.sql.legacy.literal.pickMinimumPrecision": "true",
    "spark.sql.legacy.parser.havingWithoutGroupByAsWhere": "false",
    "spark.sql.legacy.setopsPrecedence.enabled": "false",
    "spark.sql.legacy.statisticalAggregate": "false",
}
ZONE = "user.timezone"
LANGUAGE = "user.language"
CASED = ("tr", "az", "lt")  # in which upper and lower are other letters than elsewhere


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
    language = spark._jvm.java.util.Locale.getDefault().getLanguage()
    if language in CASED:
        _refuse(f"-D{LANGUAGE} (the language of its JVM)", "en", language)
    return found


def hold(spark, file):
    """After an author's code: they are still what the record will say."""
    for name, wanted in PINNED.items():
        found = spark.conf.get(name, None)
        if not _same(wanted, found):
            raise JobError("CONFIG", f"{file}: it set {name} to {found} where {wanted} is wanted: its rows would not be what the record says",
                           f"take it out of {file}: from_utc_timestamp and its like need no setting")
