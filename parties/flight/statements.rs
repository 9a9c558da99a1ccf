//! Prepared statements: a text, what is known of it before it runs, and what is bound to it.

use super::parameters::sample;
use super::schema::schema_of;
use super::status::status;
use crate::agreement::Agreement;
use crate::daemon::Daemon;
use crate::failure::{Failure, Outcome};
use crate::query::consider;
use crate::request::{BackendChoice, Request, Stages};
use crate::snapshot::Snapshot;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use senate_planner::policy::Policies;
use senate_planner::sql::Template;
use std::sync::{Arc, Mutex, PoisonError};
use tonic::Status;

/// Seconds after which a query is given up. A client that wants less hangs up.
const TIMEOUT_S: u64 = 3600;

/// A prepared statement.
pub(super) struct Statement {
    template: Template,
    /// Types of the parameters.
    pub(super) parameters: Schema,
    /// Of the answer, where it does not depend on what is bound.
    pub(super) schema: Option<SchemaRef>,
    /// The plan, when nothing is to be bound.
    planned: Option<Arc<Agreement>>,
    bound: Mutex<Option<Vec<String>>>,
}

impl Statement {
    /// Plans the text as far as that is possible before anything is bound.
    ///
    /// # Errors
    /// As planning.
    pub(super) async fn prepare(daemon: &Daemon, sql: &str) -> Result<Self, Status> {
        let template = template(sql)?;
        let federation = &daemon.workspace().federation;
        let types = template.types(federation);
        let types = types.map_err(|error| status(&Failure::usage(error.to_string())))?;
        let field = |(at, kind): (usize, &Option<DataType>)| {
            let kind = kind.clone().unwrap_or(DataType::Null);
            Field::new(format!("parameter_{}", at + 1), kind, true)
        };
        let parameters = Schema::new(types.iter().enumerate().map(field).collect::<Vec<_>>());
        let samples = types.iter().map(|kind| kind.as_ref().and_then(sample)).collect();
        let samples: Option<Vec<String>> = samples;
        let example = match samples.map(|samples| template.fill(&samples)) {
            Some(Ok(sql)) => Some(planned(daemon, &sql).await),
            _ => None,
        };
        let (example, planned) = match (example, types.is_empty()) {
            (Some(Ok(plan)), true) => (Some(Arc::clone(&plan)), Some(plan)),
            (Some(Ok(plan)), false) => (Some(plan), None),
            (Some(Err(failure)), true) => return Err(status(&failure)),
            // Another value may be fine.
            _ => (None, None),
        };
        let schema = example.map(|plan| schema_of_answer(&plan));
        Ok(Self { template, parameters, schema, planned, bound: Mutex::default() })
    }

    /// Binds one literal to each parameter.
    ///
    /// # Errors
    /// Invalid argument when there are more or fewer.
    pub(super) fn bind(&self, literals: Vec<String>) -> Result<(), Status> {
        let filled = self.template.fill(&literals);
        filled.map_err(|error| status(&Failure::usage(error.to_string())))?;
        *self.bound.lock().unwrap_or_else(PoisonError::into_inner) = Some(literals);
        Ok(())
    }

    /// The plan with what is bound.
    ///
    /// # Errors
    /// As planning; invalid argument when something is not bound.
    pub(super) async fn plan(&self, daemon: &Daemon) -> Result<Arc<Agreement>, Status> {
        if let Some(planned) = &self.planned {
            return Ok(Arc::clone(planned));
        }
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sql = self.template.fill(&bound.unwrap_or_default());
        let sql = sql.map_err(|error| status(&Failure::usage(error.to_string())))?;
        planned(daemon, &sql).await.map_err(|failure| status(&failure))
    }
}

/// The plan of a text without parameters.
///
/// # Errors
/// As planning.
pub(super) async fn plan(daemon: &Daemon, sql: &str) -> Result<Arc<Agreement>, Status> {
    if template(sql)?.parameters() > 0 {
        return Err(Status::invalid_argument("parameters need a prepared statement"));
    }
    planned(daemon, sql).await.map_err(|failure| status(&failure))
}

/// Of the answer.
pub(super) fn schema_of_answer(plan: &Agreement) -> SchemaRef {
    let columns = &plan.plan.result.columns;
    schema_of(columns.iter().map(|(name, kind)| (name.as_str(), kind)))
}

fn template(sql: &str) -> Result<Template, Status> {
    Template::parse(sql).map_err(|error| status(&Failure::usage(error.to_string())))
}

/// This party asks, and only it learns the answer.
async fn planned(daemon: &Daemon, sql: &str) -> Outcome<Arc<Agreement>> {
    let asker = daemon.party();
    let request = Request {
        sql: sql.to_owned(),
        recipients: vec![asker.clone()],
        asker,
        bounds: Vec::new(),
        stages: Stages::default(),
        backend: BackendChoice::default(),
        timeout_s: TIMEOUT_S,
        snapshot: Snapshot::default(),
    };
    // What the owners allow is looked at when it runs; here, only the form of its answer counts.
    consider(daemon.workspace(), request, Policies::in_one_process()).await
}
