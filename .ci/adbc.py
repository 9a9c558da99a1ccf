"""Clients of Flight SQL against three daemons: what a user of Python does, and what must fail."""

import contextlib
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi as flightsql
import adbc_driver_manager
import pandas
import pyarrow
import pyarrow.flight as flight

SENATE = pathlib.Path(sys.argv[1]).resolve()
PARTIES = ["org_a", "org_b", "org_c"]
ROWS = 300
GROUPS = "SELECT diag, COUNT(*) AS n, SUM(cost) AS cost FROM visits GROUP BY diag ORDER BY diag"


def senate(home, party, *words):
    return [SENATE, *words, "--workspace", home, "--as", party]


def rows_of(number):
    """One party's table, with a name that needs quoting."""
    return pandas.DataFrame(
        {
            "patient": range(ROWS),
            "diag": [(row * (number + 3)) % 7 for row in range(ROWS)],
            "cost": [f"{row % 90}.{number}5" for row in range(ROWS)],
            "ward": ["O'Hara" if row % 5 == number else "west" for row in range(ROWS)],
        }
    )


def make_federation(home):
    text = 'name = "study"\n'
    for number, party in enumerate(PARTIES):
        (home / party).mkdir()
        made = subprocess.run(
            senate(home, party, "init"), check=True, capture_output=True, text=True
        )
        rows_of(number).to_csv(home / party / "visits.csv", index=False)
        accept = ", ".join(f'"{other}"' for other in PARTIES)
        ports = "[ports]\nflight = 0\n" if number == 0 else ""
        roles = '["group_by", "filter", "output", "aggregate"]'
        columns = "".join(f"{column} = {roles}\n" for column in rows_of(number).columns)
        policy = f"[policy]\nrecipients = [{accept}]\n[policy.table.visits.columns]\n{columns}"
        (home / party / "party.toml").write_text(f"[accept]\nfrom = [{accept}]\n{policy}{ports}")
        text += f'[[party]]\nname = "{party}"\naddress = "127.0.0.1:{free_port()}"\n{made.stdout}'
    holders = ", ".join(f'{{ party = "{party}", capacity = {ROWS} }}' for party in PARTIES)
    text += (
        '[[table]]\nname = "visits"\nheld_by = [' + holders + "]\ncolumns = ["
        '{ name = "patient", type = "INT" }, { name = "diag", type = "INT", min = 0, max = 9 }, '
        '{ name = "cost", type = "DECIMAL(9,2)" }, { name = "ward", type = "VARCHAR(8)" }]\n'
    )
    (home / "federation.toml").write_text(text)


def free_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Daemon:
    def __init__(self, home, party):
        words = senate(home, party, "serve")
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        self.log = []
        threading.Thread(target=self.listen, daemon=True).start()
        self.says("listening on")

    def listen(self):
        for line in self.process.stderr:
            self.log.append(line)

    def says(self, words, start=0):
        deadline = time.monotonic() + 60
        while not any(words in line for line in self.log[start:]):
            assert self.process.poll() is None and time.monotonic() < deadline, "".join(self.log)
            time.sleep(0.02)

    def flight_port(self):
        line = next(line for line in self.log if "Flight SQL is open" in line)
        return re.search(r"127\.0\.0\.1:(\d+)", line).group(1)


@contextlib.contextmanager
def federation(home):
    daemons = []
    try:
        daemons.extend(Daemon(home, party) for party in PARTIES)
        yield daemons
    finally:
        for daemon in daemons:
            daemon.process.terminate()
        for daemon in daemons:
            assert daemon.process.wait(30) == 0, "a drained daemon ends by itself"


def fails(kind, words, action):
    try:
        action()
    except kind as error:
        assert re.search(words, str(error)), f"no `{words}` in: {error}"
        return
    raise AssertionError(f"{kind.__name__} with `{words}` was expected")


def answers_are_those_of_the_union(connect):
    everything = pandas.concat(rows_of(number) for number in range(len(PARTIES)))
    everything["cost"] = everything["cost"].astype(float)
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute(GROUPS)
        frame = cursor.fetch_df()
        expected = everything.groupby("diag").agg(n=("cost", "size"), cost=("cost", "sum"))
        assert frame["diag"].tolist() == expected.index.tolist()
        assert frame["n"].tolist() == expected["n"].tolist()
        assert [round(float(cost), 2) for cost in frame["cost"]] == expected["cost"].round(2).tolist()
        print(frame)
        # Parameters, one of them with a quote.
        sql = "SELECT COUNT(*) AS n FROM visits WHERE diag = ? AND ward = ?"
        for diag, ward in [(2, "west"), (3, "O'Hara")]:
            cursor.execute(sql, (diag, ward))
            wanted = ((everything["diag"] == diag) & (everything["ward"] == ward)).sum()
            assert cursor.fetchone() == (wanted,), (diag, ward)
        # The schema is known before anything runs.
        schema = cursor.adbc_execute_schema(GROUPS)
        cursor.execute(GROUPS)
        assert cursor.fetch_arrow_table().schema == schema, schema


def metadata_is_there(connect):
    with connect() as connection:
        info = connection.adbc_get_info()
        assert info["vendor_name"] == "Senate", info
        objects = connection.adbc_get_objects(depth="all").read_all().to_pylist()
        (catalog,) = objects
        assert catalog["catalog_name"] == "study"
        schemas = {entry["db_schema_name"]: entry for entry in catalog["catalog_db_schemas"]}
        assert set(schemas) == {"", *PARTIES}, set(schemas)
        (table,) = schemas["org_b"]["db_schema_tables"]
        columns = [column["column_name"] for column in table["table_columns"]]
        assert (table["table_name"], columns) == ("visits", ["patient", "diag", "cost", "ward"])
        schema = connection.adbc_get_table_schema("visits")
        assert schema.field("cost").type == pyarrow.decimal128(9, 2), schema
        assert connection.adbc_get_table_types() == ["TABLE"]


def mistakes_are_told(connect):
    with connect() as connection, connection.cursor() as cursor:
        for sql, kind, words in [
            ("SELECT nothing FROM visits", adbc_driver_manager.ProgrammingError, "nothing"),
            ("DROP TABLE visits", adbc_driver_manager.NotSupportedError, "DROP"),
        ]:
            fails(kind, words, lambda: cursor.execute(sql))
        sql = "SELECT COUNT(*) FROM visits WHERE diag = ?"
        many = pyarrow.record_batch({"diag": [1, 2]})
        fails(adbc_driver_manager.Error, "one row", lambda: cursor.execute(sql, many))
        fails(adbc_driver_manager.NotSupportedError, "changes nothing",
              lambda: cursor.executemany(sql, [(1,), (2,)]))
        update = "INSERT INTO visits VALUES (1, 1, 1, 'west')"
        fails(adbc_driver_manager.NotSupportedError, "INSERT", lambda: cursor.execute(update))


def a_query_is_cancelled(connect, daemons):
    start = len(daemons[2].log)
    with connect() as connection, connection.cursor() as cursor:
        outcome = []

        def ask():
            try:
                cursor.execute("SELECT patient, SUM(cost) AS cost FROM visits GROUP BY patient")
                outcome.append(cursor.fetchall())
            except adbc_driver_manager.Error as error:
                outcome.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        daemons[2].says("query proposed", start)
        time.sleep(0.5)
        cursor.adbc_cancel()
        asking.join(30)
        assert isinstance(outcome[0], adbc_driver_manager.Error), outcome
    daemons[2].says("query failed", start)


def field(number, payload):
    """A length-delimited field of a protobuf message."""
    assert len(payload) < 128 * 128
    size = bytes([len(payload)]) if len(payload) < 128 else bytes(
        [len(payload) & 127 | 128, len(payload) >> 7]
    )
    return bytes([number << 3 | 2]) + size + payload


def statement(sql):
    kind = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    command = field(1, kind) + field(2, field(1, sql.encode()))
    return flight.FlightDescriptor.for_command(command)


def pyarrow_works_alone(port, certificate, token):
    client = flight.FlightClient(f"grpc+tls://localhost:{port}", tls_root_certs=certificate)
    fails(flight.FlightUnauthenticatedError, "token", lambda: client.get_flight_info(statement(GROUPS)))
    options = flight.FlightCallOptions(headers=[client.authenticate_basic_token("ann", token)])
    info = client.get_flight_info(statement(GROUPS), options)
    table = client.do_get(info.endpoints[0].ticket, options).read_all()
    assert table.schema == info.schema and table.num_rows == 7, table
    fails(pyarrow.ArrowInvalid, "nothing", lambda: client.get_flight_info(
        statement("SELECT nothing FROM visits"), options))


def main():
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        make_federation(home)
        identity = (home / "org_a" / "identity.pem").read_text()
        key, certificate = identity.split("-----BEGIN CERTIFICATE-----")
        certificate = "-----BEGIN CERTIFICATE-----" + certificate
        token = subprocess.run(
            senate(home, "org_a", "token", "create", "ann"),
            check=True, capture_output=True, text=True,
        ).stdout.strip()
        with federation(home) as daemons:
            port = daemons[0].flight_port()
            options = adbc_driver_flightsql.DatabaseOptions
            roots = {options.TLS_ROOT_CERTS.value: certificate}
            bearer = {**roots, options.AUTHORIZATION_HEADER.value: f"Bearer {token}"}
            password = {**roots, "username": "ann", "password": token}
            mutual = {
                **roots,
                options.MTLS_CERT_CHAIN.value: certificate,
                options.MTLS_PRIVATE_KEY.value: key,
            }

            def connecting(words):
                uri = f"grpc+tls://localhost:{port}"
                return lambda: flightsql.connect(uri, db_kwargs=words, autocommit=True)

            for words in [bearer, password, mutual]:
                answers_are_those_of_the_union(connecting(words))
            metadata_is_there(connecting(bearer))
            mistakes_are_told(connecting(bearer))
            a_query_is_cancelled(connecting(bearer), daemons)
            answers_are_those_of_the_union(connecting(bearer))
            pyarrow_works_alone(port, certificate, token)
            wrong = {**roots, options.AUTHORIZATION_HEADER.value: "Bearer senate_x_y"}
            fails(adbc_driver_manager.Error, "token", lambda: connecting(wrong)().cursor().execute(GROUPS))
    print("ok")


main()
