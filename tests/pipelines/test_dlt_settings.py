"""dlt's own configuration gives the settings of a client."""

import pytest
from thorough import variants

from carecloud_async import ConfigurationError
from carecloud_async.sandbox import USER_PASSWORD, Sandbox

dlt = pytest.importorskip("dlt", reason="dlt is not installed")
carecloud_async_dlt = pytest.importorskip("carecloud_async.dlt")


@pytest.fixture
def pipeline(tmp_path, monkeypatch):
    """A pipeline in a folder with a configuration of its own, and no variables of another one."""
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("LOAD__WORKERS", "1")
    monkeypatch.chdir(tmp_path)
    for name in ("PROJECT_URL", "EXTERNAL_APPLICATION_ID", "LOGIN", "PASSWORD", "PROFILE"):
        monkeypatch.delenv(f"CARECLOUD_{name}", raising=False)
    yield dlt.pipeline(
        "settings",
        destination=dlt.destinations.duckdb(str(tmp_path / "nights.duckdb")),
        dataset_name="crm",
        pipelines_dir=str(tmp_path / "dlt"),
    )
    monkeypatch.undo()
    dlt.current.run_context().reload()


def configure(folder, url, credentials, *, section):
    """Write the settings where dlt has them: the address in its configuration, the rest among its secrets."""
    (folder / ".dlt").mkdir()
    parent = section.removesuffix(".credentials")
    (folder / ".dlt" / "config.toml").write_text(f'[{parent}]\nproject_url = "{url}"\n')
    (folder / ".dlt" / "secrets.toml").write_text(
        f'[{section}]\nexternal_application_id = "{credentials.external_application_id}"\n'
        f'login = "{credentials.login}"\npassword = "{USER_PASSWORD}"\n'
    )
    dlt.current.run_context().reload()


@pytest.mark.parametrize("section", ["sources.carecloud", *variants("sources.carecloud.credentials")])
def test_a_source_takes_its_settings_from_dlt(pipeline, tmp_path, monkeypatch, section):
    """Secrets and configuration of dlt make the client, with one login for all lists; they win over a variable."""
    sandbox = Sandbox(customers=20, seed=1, records=5)
    with sandbox.running() as url:
        configure(tmp_path, url, sandbox.credentials(), section=section)
        monkeypatch.setenv("CARECLOUD_PASSWORD_FILE", str(tmp_path / "of another project"))
        pipeline.run(carecloud_async_dlt.carecloud_source("customers", "cards")).raise_on_failed_jobs()
        assert sandbox.count("POST /users/actions/login") == 1
    assert USER_PASSWORD not in pipeline.last_trace.asstr(verbosity=2)
    kept = [file for file in (tmp_path / "dlt").rglob("*") if file.is_file()]
    assert [file for file in kept if USER_PASSWORD.encode() in file.read_bytes()] == []
    with pipeline.sql_client() as client, client.execute_query("SELECT count(*) FROM customers") as cursor:
        assert cursor.fetchone()[0] == 20


def test_a_destination_takes_its_settings_from_dlt(pipeline, tmp_path):
    """The destination reads its own section."""
    sandbox = Sandbox(customers=5, seed=1)
    rows = [{"email": "a@example.com", "language_id": "en"}]
    with sandbox.running() as url:
        configure(tmp_path, url, sandbox.credentials(), section="destination.carecloud")
        destination = carecloud_async_dlt.carecloud_destination(
            "customers", match="email", defaults={"customer_source_id": "86e05affc7a7abefcd513ab400"}
        )
        back = dlt.pipeline("back", destination=destination, pipelines_dir=str(tmp_path / "dlt"))
        back.run(rows, table_name="customers").raise_on_failed_jobs()
    assert sandbox.count("POST /customers") == 1


def test_missing_settings_are_named(pipeline):
    """Without either, the error names the variables."""
    with pytest.raises(ConfigurationError, match="set CARECLOUD_PROJECT_URL"):
        carecloud_async_dlt.carecloud_source("customers")
