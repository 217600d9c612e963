from sluice_spark.main import main

main()
