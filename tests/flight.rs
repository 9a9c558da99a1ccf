//! Flight SQL over real daemons: who may ask, what a handle opens, how a query ends with its client.

use crate::hosts::{Daemon, GROUPS, Hosts, answer, few, many, policy};
use crate::support::party_name;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    Any, CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetTables,
    CommandPreparedStatementQuery, CommandStatementQuery, ProstMessageExt,
};
use arrow_flight::{
    Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightDescriptor,
    FlightInfo, PollInfo, Ticket,
};
use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use futures_util::{StreamExt, TryStreamExt};
use prost::Message;
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};

type Client = FlightSqlServiceClient<Channel>;

const FLIGHT: &str = "[ports]\nflight = 0\n";
const ONE: &str = "SELECT COUNT(*) AS n FROM visits";

/// A client's connection to the daemon of `party`, that shows the identity of `shows`.
async fn channel(
    hosts: &Hosts,
    daemons: &[Daemon],
    party: usize,
    shows: Option<usize>,
) -> Result<Channel, tonic::transport::Error> {
    let pem = |party: usize| {
        fs::read_to_string(hosts.home(party).join(party_name(party)).join("identity.pem")).unwrap()
    };
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(pem(party)))
        .domain_name("localhost");
    if let Some(shown) = shows {
        let pem = pem(shown);
        let (key, certificate) = pem.split_at(pem.find("-----BEGIN CERTIFICATE").unwrap());
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    let port = daemons[party].port("Flight SQL");
    let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{port}")).unwrap();
    endpoint.tls_config(tls).unwrap().connect().await
}

async fn operator(hosts: &Hosts, daemons: &[Daemon], party: usize) -> Client {
    Client::new(channel(hosts, daemons, party, Some(party)).await.unwrap())
}

async fn analyst(hosts: &Hosts, daemons: &[Daemon], token: &str) -> Client {
    let mut client = Client::new(channel(hosts, daemons, 0, None).await.unwrap());
    client.set_token(token.to_owned());
    client
}

fn token(hosts: &Hosts, user: &str) -> String {
    let made = hosts.senate(0, &["token", "create", user]).output().unwrap();
    answer(&made).trim().to_owned()
}

fn ticket(info: &FlightInfo) -> Ticket {
    info.endpoint[0].ticket.clone().unwrap()
}

async fn rows(client: &mut Client, info: &FlightInfo) -> Result<Vec<RecordBatch>, Status> {
    let stream = client.do_get(ticket(info)).await.map_err(status_of)?;
    stream.try_collect().await.map_err(status_of)
}

fn status_of(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => panic!("{other}"),
    }
}

async fn refused(client: &mut Client, sql: &str) -> (Code, String) {
    let answered = match client.execute(sql.to_owned(), None).await {
        Ok(info) => rows(client, &info).await,
        Err(error) => Err(status_of(error)),
    };
    let status = answered.unwrap_err();
    (status.code(), status.message().to_owned())
}

fn count(batches: &[RecordBatch]) -> i64 {
    batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(test)
}

#[test]
fn only_the_party_s_operator_and_holders_of_good_tokens_may_ask() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.configure(0, FLIGHT);
    let daemons = hosts.serve_all();
    let ann = token(&hosts, "ann");
    run(async {
        let mut client = operator(&hosts, &daemons, 0).await;
        let info = client.execute(ONE.to_owned(), None).await.unwrap();
        assert_eq!(count(&rows(&mut client, &info).await.unwrap()), 12);
        let mut client = analyst(&hosts, &daemons, &ann).await;
        let info = client.execute(ONE.to_owned(), None).await.unwrap();
        assert_eq!(count(&rows(&mut client, &info).await.unwrap()), 12);
        // A password is as good as a token, for its own user.
        let mut client = Client::new(channel(&hosts, &daemons, 0, None).await.unwrap());
        assert!(client.handshake("bob", &ann).await.is_err());
        client.handshake("ann", &ann).await.unwrap();
        client.execute(ONE.to_owned(), None).await.unwrap();
        client.clear_token();
        assert_eq!(refused(&mut client, ONE).await.0, Code::Unauthenticated);
        client.set_token(format!("{ann}x"));
        assert_eq!(refused(&mut client, ONE).await.0, Code::Unauthenticated);
        // Another party's identity, and one that nobody knows the key of, come no further than TLS.
        let other = channel(&hosts, &daemons, 0, Some(1)).await;
        assert!(match other {
            Err(_) => true,
            Ok(channel) => Client::new(channel).execute(ONE.to_owned(), None).await.is_err(),
        });
        let list = answer(&hosts.senate(0, &["token", "list"]).output().unwrap());
        let id = list.split_whitespace().next().unwrap();
        assert!(list.contains("ann") && !list.contains(&ann));
        let revoked = hosts.senate(0, &["token", "revoke", id]).output().unwrap();
        assert!(revoked.status.success());
        client.set_token(ann.clone());
        assert_eq!(refused(&mut client, ONE).await.0, Code::Unauthenticated);
    });
}

#[test]
fn a_prepared_statement_has_one_schema_parameters_and_one_owner() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.configure(0, FLIGHT);
    let daemons = hosts.serve_all();
    let tokens = ["ann", "bob"].map(|user| token(&hosts, user));
    run(async {
        let mut ann = analyst(&hosts, &daemons, &tokens[0]).await;
        let sql = "SELECT diag, COUNT(*) AS n FROM visits WHERE diag = ? GROUP BY diag";
        let mut statement = ann.prepare(sql.to_owned(), None).await.unwrap();
        assert_eq!(*statement.parameter_schema().unwrap().field(0).data_type(), DataType::Int32);
        assert!(statement.execute().await.is_err(), "nothing is bound yet");
        for (diag, expected) in [(0, 5), (2, 4)] {
            let value = Arc::new(Int64Array::from(vec![diag])) as ArrayRef;
            let row = RecordBatch::try_from_iter([("diag", value)]).unwrap();
            statement.set_parameters(row).unwrap();
            let info = statement.execute().await.unwrap();
            let batches = rows(&mut ann, &info).await.unwrap();
            let n = batches[0].column(1).as_primitive::<Int64Type>().value(0);
            assert_eq!(n, expected, "rows with diag {diag}");
            let schema = info.clone().try_decode_schema().unwrap();
            assert_eq!(*statement.dataset_schema().unwrap(), schema);
            assert_eq!(*batches[0].schema(), schema);
            assert!(rows(&mut ann, &info).await.is_err(), "an answer is fetched once");
        }
        // Somebody else's handles open nothing.
        let info = statement.execute().await.unwrap();
        let mut bob = analyst(&hosts, &daemons, &tokens[1]).await;
        assert_eq!(rows(&mut bob, &info).await.unwrap_err().code(), Code::NotFound);
        let handle = |info: &FlightInfo| {
            let any = Any::decode(&*info.flight_descriptor.clone().unwrap().cmd).unwrap();
            any.unpack::<CommandPreparedStatementQuery>().unwrap().unwrap()
        };
        let descriptor = FlightDescriptor::new_cmd(handle(&info).as_any().encode_to_vec());
        let mut request = Request::new(descriptor);
        let bearer = format!("Bearer {}", tokens[1]).parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        let status = bob.inner_mut().get_flight_info(request).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(rows(&mut ann, &info).await.unwrap().len(), 1);
        statement.close().await.unwrap();
    });
}

#[test]
fn errors_have_the_codes_of_their_causes() {
    let hosts = Hosts::new(3, 8, &few);
    hosts.configure_all(FLIGHT);
    hosts.rewrite(1, &format!("[accept]\nfrom = []\n{}", policy("\"org_a\"")));
    let columns = "patient = [\"join_key\"]\ndiag = [\"group_by\", \"filter\"]\n";
    hosts.rewrite(
        2,
        &format!(
            "[accept]\nfrom = [\"org_a\"]\n[policy]\nrecipients = [\"*\"]\n\
             [policy.table.visits.columns]\n{columns}"
        ),
    );
    let mut daemons = hosts.serve_all();
    run(async {
        let mut client = operator(&hosts, &daemons, 0).await;
        let (code, text) = refused(&mut client, "SELECT nothing FROM visits").await;
        assert_eq!(code, Code::InvalidArgument, "{text}");
        let (code, text) = refused(&mut client, "DELETE FROM visits").await;
        assert_eq!(code, Code::Unimplemented, "{text}");
        let (code, text) = refused(&mut client, ONE).await;
        assert_eq!(code, Code::PermissionDenied, "{text}");
        assert!(text.contains("org_b"), "{text}");
        let hidden = "SELECT patient FROM org_c.visits WHERE diag = 1";
        let (code, text) = refused(&mut client, hidden).await;
        assert_eq!(code, Code::PermissionDenied, "{text}");
        assert!(text.contains("org_c") && text.contains("rule output"), "{text}");
        drop(daemons.pop());
        let pair = "SELECT COUNT(*) AS n FROM (SELECT diag FROM org_a.visits UNION ALL \
                    SELECT diag FROM org_c.visits) pairs";
        let (code, text) = refused(&mut client, pair).await;
        assert_eq!(code, Code::Unavailable, "{text}");
        assert!(text.contains("org_c"), "{text}");
    });
}

#[test]
fn a_dropped_stream_or_a_cancellation_ends_the_query_at_every_party() {
    let hosts = Hosts::new(3, 400, &many);
    hosts.configure(0, FLIGHT);
    let daemons = hosts.serve_all();
    run(async {
        let mut client = operator(&hosts, &daemons, 0).await;
        for is_dropped in [true, false] {
            let info = client.execute(GROUPS.to_owned(), None).await.unwrap();
            let mut data = client.inner_mut().do_get(ticket(&info)).await.unwrap().into_inner();
            let schema = data.next().await.unwrap().unwrap();
            assert!(schema.data_body.is_empty(), "the schema is there before the rows");
            wait(&daemons[2], "query proposed").await;
            tokio::time::sleep(Duration::from_millis(700)).await;
            if is_dropped {
                drop(data);
            } else {
                let cancel = CancelFlightInfoRequest::new(info).encode_to_vec();
                let action = Action::new("CancelFlightInfo", cancel);
                let answers = client.do_action(action).await.unwrap();
                let answers: Vec<_> = answers.try_collect().await.unwrap();
                let result = CancelFlightInfoResult::decode(&*answers[0].body).unwrap();
                assert_eq!(result.status(), CancelStatus::Cancelled);
                let rows: Result<Vec<_>, FlightError> =
                    FlightRecordBatchStream::new_from_flight_data(data.map_err(FlightError::from))
                        .try_collect()
                        .await;
                assert_eq!(status_of(rows.unwrap_err()).code(), Code::Cancelled);
            }
            for daemon in &daemons {
                wait(daemon, "query failed").await;
                daemon.log.lock().unwrap().clear();
            }
        }
        let info = client.execute(ONE.to_owned(), None).await.unwrap();
        let cancel = CancelFlightInfoRequest::new(info.clone()).encode_to_vec();
        let answers = client.do_action(Action::new("CancelFlightInfo", cancel)).await.unwrap();
        let _: Vec<_> = answers.try_collect().await.unwrap();
        let late = rows(&mut client, &info).await.unwrap_err();
        assert_eq!(late.code(), Code::Cancelled, "what was cancelled before it began never begins");
        let info = client.execute(ONE.to_owned(), None).await.unwrap();
        assert_eq!(count(&rows(&mut client, &info).await.unwrap()), 1200);
    });
}

/// Waits without holding up the client's runtime.
async fn wait(daemon: &Daemon, words: &str) {
    for _ in 0..1000 {
        if daemon.log.lock().unwrap().contains(words) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no `{words}` in\n{}", daemon.log.lock().unwrap());
}

#[test]
fn a_query_can_be_polled_until_its_answer_is_there() {
    let hosts = Hosts::new(2, 60, &|party| (0..60).map(|row| (row, party as i64)).collect());
    hosts.configure(0, FLIGHT);
    let daemons = hosts.serve_all();
    run(async {
        let mut client = operator(&hosts, &daemons, 0).await;
        let query = CommandStatementQuery { query: GROUPS.to_owned(), transaction_id: None };
        let mut next = Some(FlightDescriptor::new_cmd(query.as_any().encode_to_vec()));
        let (mut progress, mut polled) = (Vec::new(), PollInfo::new());
        while let Some(descriptor) = next {
            polled = client.inner_mut().poll_flight_info(descriptor).await.unwrap().into_inner();
            progress.push(polled.progress.unwrap());
            next = polled.flight_descriptor.clone();
        }
        assert!(progress.len() > 2 && progress.iter().all(|part| (0.0..=1.0).contains(part)));
        let info = polled.info.unwrap();
        let batches = rows(&mut client, &info).await.unwrap();
        assert_eq!(batches[0].num_rows(), 2);
    });
}

#[test]
fn clients_find_the_federation_s_tables_and_what_the_server_can_do() {
    let hosts = Hosts::new(2, 8, &few);
    hosts.configure(0, FLIGHT);
    let daemons = hosts.serve_all();
    run(async {
        let mut client = operator(&hosts, &daemons, 0).await;
        let info = client.get_catalogs().await.unwrap();
        let catalogs = rows(&mut client, &info).await.unwrap();
        assert_eq!(catalogs[0].column(0).as_string::<i32>().value(0), "hosts");
        let wanted = CommandGetTables {
            db_schema_filter_pattern: Some("org_%".to_owned()),
            include_schema: true,
            ..CommandGetTables::default()
        };
        let info = client.get_tables(wanted).await.unwrap();
        let tables = rows(&mut client, &info).await.unwrap();
        assert_eq!(tables[0].num_rows(), 2);
        let schemas = tables[0].column(1).as_string::<i32>();
        assert_eq!((schemas.value(0), schemas.value(1)), ("org_a", "org_b"));
        let info = client.get_table_types().await.unwrap();
        assert_eq!(rows(&mut client, &info).await.unwrap()[0].num_rows(), 1);
        let info = client.get_xdbc_type_info(Default::default()).await.unwrap();
        assert_eq!(rows(&mut client, &info).await.unwrap()[0].num_rows(), 9);
        let info = client.get_primary_keys(CommandGetPrimaryKeys::default()).await.unwrap();
        let keys = rows(&mut client, &info).await.unwrap();
        assert_eq!(keys.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
        let info = client.get_imported_keys(CommandGetImportedKeys::default()).await.unwrap();
        assert_eq!(info.clone().try_decode_schema().unwrap().fields().len(), 13);
        let keys = rows(&mut client, &info).await.unwrap();
        assert_eq!(keys.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
        let info = client.get_sql_info(Vec::new()).await.unwrap();
        assert!(rows(&mut client, &info).await.unwrap()[0].num_rows() > 10);
        client.close().await.unwrap();
    });
}
