"""Engine jobs of sluice on Spark: spark-submit sluice_spark/main.py JOB.json (spec/engine-job.md).

Rows are read, judged, hashed and counted by libsluice, the same C as on one machine; here work is handed out, and files are
written and read with pyarrow. Nothing here commits a table.
"""

__version__ = "0.1.0"
