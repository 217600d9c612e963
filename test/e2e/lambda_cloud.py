"""A cloud on this machine: moto (Secrets Manager), versitygw (S3) and a container's endpoint of credentials; and functions in it, whose
pipeline, lake and secret lie there."""
import json
import os
import re
import signal

import pytest

import lake as L
from lambda_api import LAMBDA, Function
from s3_server import FaultProxy, S3Project, Server
from test_lambda import listing_digest

pytest.importorskip("moto.server", reason="moto is not installed")
import aws  # noqa: E402

REGION = "us-east-1"  # the one that versitygw serves
OTHER = "c4nary-beside-the-token"


class Cloud:
    """moto, versitygw and the container's endpoint; one pair of keys for all."""

    def __init__(self, folder):
        self.moto = aws.Moto(folder)
        self.keys = self.moto.user("sluice", "secretsmanager:GetSecretValue")
        self.s3 = Server(folder, keys=self.keys)
        secrets = self.client("secretsmanager", self.moto.url)
        secrets.create_secret(Name="prod/flights", SecretString=json.dumps({"token": L.TOKEN, "other": OTHER}))
        self.moto.check_signatures()
        self.token_file = os.path.join(str(folder), "container-token")
        with open(self.token_file, "w", encoding="utf-8") as f:
            f.write("c4nary-container\n")
        self.container = aws.Server(self.credentials)

    def credentials(self, method, path, headers, body):
        if headers.get("Authorization") != "c4nary-container":
            return 401, "{}"
        return 200, json.dumps({"AccessKeyId": self.keys[0], "SecretAccessKey": self.keys[1], "Expiration": "2099-01-01T00:00:00Z"})

    def client(self, service, url):
        boto3 = pytest.importorskip("boto3")
        return boto3.client(service, endpoint_url=url, region_name=REGION, aws_access_key_id=self.keys[0],
                            aws_secret_access_key=self.keys[1])

    def environment(self, endpoint):
        return {"AWS_REGION": REGION, "AWS_ENDPOINT_URL_S3": endpoint, "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.moto.url,
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": self.container.url + "/creds",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": self.token_file}

    def stop(self):
        self.container.__exit__()
        self.s3.stop()
        self.moto.stop()


class Remote(S3Project):
    """Whoever looks at the lake from elsewhere: with keys in the environment, past the proxy."""

    def __init__(self, cloud, folder, lake):
        super().__init__(folder, lake, cloud.s3.url)
        self.cloud = cloud
        self.files = os.path.join(cloud.s3.folder, *lake.removeprefix("s3://").split("/"))

    def environment(self):
        return {**super().environment(), "AWS_ACCESS_KEY_ID": self.cloud.keys[0], "AWS_SECRET_ACCESS_KEY": self.cloud.keys[1],
                "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.cloud.moto.url}


class Deployed:
    """A pipeline in s3://lakes/<name>/config/, the lake beside it, and functions whose packages have no pipeline."""

    def __init__(self, cloud, folder, url, name, edit=lambda text: text, percent=0, seed=1,
                 secret="prod/flights#token"):
        def with_secret(text):
            text, n = re.subn(r"env:FLIGHTS_TOKEN", "aws-secret:" + secret, edit(text))
            assert n >= 1, "the example names its token otherwise"
            return text
        self.cloud, self.lake, self.task = cloud, f"s3://lakes/{name}", os.path.join(str(folder), "task")
        os.makedirs(self.task)
        p = L.example_project(os.path.join(str(folder), "pipeline"), url, with_secret)
        self.project = Remote(cloud, p.folder, self.lake)
        self.proxy = FaultProxy(cloud.s3, percent=percent, seed=seed)
        self.functions = []
        self.push()

    def push(self):
        """All files under the digest of their listing."""
        told = json.loads(self.project.sluice("config push", "--json").out)
        assert told["digest"] == listing_digest(self.project.folder)
        self.config = told["config"]
        assert self.config == f"{self.lake}/config/{told['digest']}"

    def function(self, program=LAMBDA, **more):
        f = Function(self.task, program=program, SLUICE_LAKE=self.lake, SLUICE_CONFIG=self.config,
                     **self.cloud.environment(self.proxy.url), **more)
        self.functions.append(f)
        return f

    def close(self):
        for f in self.functions:
            f.stop(signal.SIGKILL)
        self.proxy.stop()
