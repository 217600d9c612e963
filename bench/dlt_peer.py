"""All flights into Parquet files with dlt, as its documentation does it: dlt_peer.py URL FOLDER"""
import os
import sys

url, folder = sys.argv[1:]
os.environ["DLT_DATA_DIR"] = os.path.join(folder, "state")
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt  # noqa: E402
from dlt.sources.helpers.rest_client import RESTClient  # noqa: E402
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator  # noqa: E402


@dlt.resource(name="flights", write_disposition="replace")
def flights():
    client = RESTClient(base_url=url, data_selector="data", paginator=JSONResponseCursorPaginator(
        cursor_path="meta.next", cursor_param="cursor"))
    yield from client.paginate("/flights", params={"limit": 1000})


pipeline = dlt.pipeline(pipeline_name="bench", pipelines_dir=os.path.join(folder, "pipelines"), dataset_name="out",
                        destination=dlt.destinations.filesystem(bucket_url=os.path.join(folder)))
pipeline.run(flights(), loader_file_format="parquet")
