//! A plan of DataFusion that many futures hold.

use datafusion_expr::LogicalPlan;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A plan behind a trait object. Its types are so many and so recursive that the compiler takes
/// seconds to show that they may cross threads, and would do it again for each future that holds
/// one: here it does so once.
#[derive(Clone)]
pub struct SharedPlan(Arc<dyn Held>);

trait Held: Send + Sync {
    fn plan(&self) -> &LogicalPlan;
}

impl Held for LogicalPlan {
    fn plan(&self) -> &LogicalPlan {
        self
    }
}

impl From<LogicalPlan> for SharedPlan {
    fn from(plan: LogicalPlan) -> Self {
        Self(Arc::new(plan))
    }
}

impl Deref for SharedPlan {
    type Target = LogicalPlan;

    fn deref(&self) -> &LogicalPlan {
        self.0.plan()
    }
}

impl fmt::Debug for SharedPlan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.plan().fmt(formatter)
    }
}
