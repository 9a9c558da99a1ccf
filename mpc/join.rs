//! Waiting for several conversations of one script at once.

use futures_util::future::{TryMaybeDone, try_maybe_done};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// All results in order, or the first error *as soon as it occurs*. Of futures-util's combinator
/// only the form for few futures does that, and it takes the other one for every iterator without
/// a small upper bound: an error would wait there until all earlier futures have finished, and the
/// link that the failed one polled last would wake nobody.
pub(crate) async fn try_join_all<F, T, E>(futures: impl IntoIterator<Item = F>) -> Result<Vec<T>, E>
where
    F: Future<Output = Result<T, E>>,
{
    let all = futures.into_iter().map(|future| Box::pin(try_maybe_done(future)));
    let mut all: Vec<Pin<Box<TryMaybeDone<F>>>> = all.collect();
    poll_fn(|context| {
        let mut waiting = false;
        for future in &mut all {
            match future.as_mut().poll(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => waiting = true,
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(Ok(())) }
    })
    .await?;
    Ok(all.iter_mut().filter_map(|future| future.as_mut().take_output()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use futures_util::future::{LocalBoxFuture, pending, ready};
    use futures_util::{FutureExt, task::noop_waker};
    use std::task::Context;

    fn joined(
        futures: Vec<LocalBoxFuture<'_, Result<usize, Error>>>,
    ) -> Poll<Result<usize, Error>> {
        let mut all = Box::pin(try_join_all(futures));
        let result = all.as_mut().poll(&mut Context::from_waker(&noop_waker()));
        result.map(|result| result.map(|results| results.iter().sum()))
    }

    #[test]
    fn an_error_does_not_wait_for_anybody() {
        for count in [1, 2, 29, 30, 31, 100] {
            let stop = Err(Error::Misuse("stop"));
            let mut futures: Vec<_> = (0..count).map(|_| pending().boxed_local()).collect();
            assert!(joined(futures).is_pending());
            futures = (0..count).map(|_| pending().boxed_local()).collect();
            futures.push(ready(stop).boxed_local());
            assert_eq!(joined(futures), Poll::Ready(stop));
            let futures = (0..count).map(|i| ready(Ok(i)).boxed_local()).collect();
            assert_eq!(joined(futures), Poll::Ready(Ok(count * (count - 1) / 2)));
        }
    }
}
