"""The options of a Spark read, which need no Spark."""

import subprocess
import sys

import pytest

from carecloud_async import ConfigurationError
from carecloud_async.models import Card
from carecloud_async.sandbox import USER_APPLICATION_ID, USER_LOGIN, USER_PASSWORD, Sandbox
from carecloud_async.spark.settings import ReadSettings, connect, problem_of_workers, read_options

pytestmark = pytest.mark.anyio


def test_options_that_are_left_out_have_a_default():
    """`resource` is the only option that must be given; all others have a default."""
    settings = ReadSettings.read({"resource": "cards"})
    assert (settings.partitions, settings.count, settings.concurrency) == (8, 500, 4)
    assert (settings.filters, settings.changed_since, settings.allow_inexact) == ({}, None, False)
    assert settings.model() is Card


def test_filters_are_read_by_what_they_take():
    """One value stays a text; a filter that only takes several is split at commas."""
    settings = ReadSettings.read({"resource": "customers", "Filter.last_name": "Smith, jr."})
    assert settings.filters == {"last_name": "Smith, jr."}
    from carecloud_async.resources.lookup.by_name import listable

    name, several = next(
        (name, filter_name)
        for name, operation in listable().items()
        for filter_name, kind in operation.kinds.items()
        if kind.several and not kind.single and "{" not in operation.path
    )
    assert ReadSettings.read({"resource": name, f"filter.{several}": "a, b"}).filters == {several: ["a", "b"]}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "name the list to read"),
        ({"resource": "custmers"}, "did you mean customers"),
        ({"resource": "cards", "partition": "2"}, "did you mean partitions"),
        ({"resource": "cards", "partitions": "two"}, "partitions must be a whole number from 1 on, not two"),
        ({"resource": "cards", "count": "0"}, "count must be"),
        ({"resource": "cards", "filter.card_nmber": "1"}, "did you mean card_number"),
        ({"resource": "cards", "filter.offset": "1"}, "there is no filter.offset"),
        ({"path": "cards"}, "takes no path"),
        ({"resource": "cards", "password": "hidden"}, "set CARECLOUD_PASSWORD in the environment"),
        ({"resource": "cards", "redis": "hidden"}, "set CARECLOUD_REDIS_URL in the environment"),
    ],
)
def test_mistakes_say_what_to_write(options, words):
    """An option that is unknown, of the wrong kind or a secret is refused, and no secret is repeated."""
    for read in (ReadSettings.read, read_options):
        with pytest.raises(ConfigurationError, match=words) as caught:
            read(options)
        assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "words"), [(["a", "b"], "not a list: write several values as one"), (" ", "one non-empty text")]
)
def test_filter_that_would_find_something_else_is_refused(value, words):
    """A list would become a text with brackets, which finds nothing; no value is repeated."""
    with pytest.raises(ConfigurationError, match=words):
        read_options({"resource": "customers", "filter.last_name": value})


def test_values_become_the_texts_that_they_mean():
    """Booleans as the API has them, and no text `None` for what is not given."""
    given = {"resource": "cards", "filter.is_valid": True, "partitions": 2, "changed_since": None}
    assert read_options(given) == {"resource": "cards", "filter.is_valid": "true", "partitions": "2"}


def test_options_are_checked_before_a_session():
    """`read_options` needs neither Spark nor Java, and returns texts; mistakes are reported first."""
    script = (
        "import sys; sys.modules['pyspark'] = None\n"
        "from carecloud_async.spark import read_options\n"
        "print(read_options({'resource': 'cards', 'partitions': 2, 'allow_inexact': True}))\n"
        "read_options({'resource': 'cards', 'requests_per_second': 0})\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "{'resource': 'cards', 'partitions': '2', 'allow_inexact': 'true'}\n"
    assert "ConfigurationError: " in done.stderr.splitlines()[-1]
    assert "requests_per_second" in done.stderr.splitlines()[-1]


async def test_options_win_over_the_environment(monkeypatch):
    """The address, application and login may be options; the password is the environment's."""
    sandbox = Sandbox(customers=5)
    monkeypatch.setenv("CARECLOUD_PROJECT_URL", "elsewhere.example.com")
    monkeypatch.setenv("CARECLOUD_LOGIN", "somebody else")
    monkeypatch.setenv("CARECLOUD_PASSWORD", USER_PASSWORD)
    async with sandbox.serving() as url:
        options = {
            "project_url": url,
            "external_application_id": USER_APPLICATION_ID,
            "login": USER_LOGIN,
            "timezone": "Europe/London",
            "requests_per_second": "500",
        }
        async with connect(options) as client:
            assert await client.customers.list().total() == 5
            assert client.project.timezone.key == "Europe/London"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_tasks_that_name_a_redis_share_a_token(monkeypatch, redis_server):
    """The second task uses the token of the first, and waits for the same rate."""
    sandbox = Sandbox(customers=5)
    names = {"EXTERNAL_APPLICATION_ID": USER_APPLICATION_ID, "LOGIN": USER_LOGIN, "PASSWORD": USER_PASSWORD}
    for name, value in {**names, "REDIS_URL": redis_server.url}.items():
        monkeypatch.setenv(f"CARECLOUD_{name}", value)
    async with sandbox.serving() as url:
        for _ in range(2):
            async with connect({"project_url": url, "requests_per_second": "500"}) as client:
                assert await client.customers.list().total() == 5
    assert sandbox.count("POST /users/actions/login") == 1


async def test_a_setting_that_is_nowhere_is_named(monkeypatch):
    """The error names the variable, and where it must be set."""
    for name in ("PROJECT_URL", "EXTERNAL_APPLICATION_ID", "LOGIN", "PASSWORD"):
        monkeypatch.delenv(f"CARECLOUD_{name}", raising=False)
    with pytest.raises(ConfigurationError, match="set CARECLOUD_PROJECT_URL, CARECLOUD_EXTERNAL_APPLICATION_ID"):
        async with connect({}):
            pass
    with pytest.raises(ConfigurationError, match="set CARECLOUD_PROJECT_URL, CARECLOUD_PASSWORD in the environment of"):
        async with connect({"login": "a", "external_application_id": "b"}):
            pass
    with pytest.raises(ConfigurationError, match="requests_per_second must be a number"):
        async with connect({"requests_per_second": "fast"}):
            pass


def test_without_pyspark_the_extra_is_named():
    """Without PySpark, the error says what to install."""
    script = (
        "import sys; sys.modules['pyspark'] = None\n"
        "try: from carecloud_async.spark import CareCloudDataSource\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pip install 'carecloud-async[spark]'" in done.stdout


def test_workers_of_another_python_are_reported(tmp_path):
    """In an environment that is not activated Spark would start the system's Python: the sentence names the fix."""
    pythons = {}
    for name in ("system", "environment"):
        pythons[name] = tmp_path / name / "python3"
        pythons[name].parent.mkdir()
        pythons[name].touch(0o700)
    own = str(pythons["environment"])
    path = {"PATH": str(tmp_path / "system")}
    problem = problem_of_workers(path, own)
    assert problem.startswith(f"Spark will start its workers with {pythons['system']}, ")
    assert f"set PYSPARK_PYTHON={own} before the session starts" in problem
    assert "with python3, which" in problem_of_workers({"PATH": str(tmp_path)}, own)
    assert problem_of_workers({"PATH": str(tmp_path / "environment")}, own) is None
    assert problem_of_workers({**path, "PYSPARK_PYTHON": own}, own) is None
