//! How the rest of alerting reaches the leader's desk: operators' orders, answered once what they changed is kept, and
//! looks at the book as it stands.

use tokio::sync::{mpsc, oneshot};

use crate::incidents::{Book, Operation, Refused};

/// Orders waiting for the desk; beyond them whoever orders waits.
const QUEUE: usize = 64;

/// What became of operations, one by one.
pub(crate) type Outcomes = Vec<Result<(), Refused>>;

/// What to do with the book.
pub(crate) enum Order {
    /// An operator acts.
    Operate {
        /// What is to be done, in this order: all of it is kept at once.
        operations: Vec<Operation>,
        /// Who acts.
        by: String,
        /// Told what became of each, when it is kept.
        answer: oneshot::Sender<Outcomes>,
    },
    /// Somebody wants to know.
    Look(Box<dyn FnOnce(&Book) + Send>),
}

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OrderError {
    /// It makes no sense as things are.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// This replica leads no more; whether the order was carried out is unknown.
    #[error("this replica does not lead any more: try again")]
    Gone,
}

/// The desk's letter box. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Orders(mpsc::Sender<Order>);

impl Orders {
    /// The letter box, and its inside.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Order>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), receiver)
    }

    /// Has `operation` done for `by`; returns once it is kept.
    pub(crate) async fn operate(&self, operation: Operation, by: &str) -> Result<(), OrderError> {
        let outcome = self.operate_all(vec![operation], by).await?.pop();
        Ok(outcome.ok_or(OrderError::Gone)??)
    }

    /// Has all of `operations` done for `by`; returns what became of each once it is kept.
    pub(crate) async fn operate_all(&self, operations: Vec<Operation>, by: &str) -> Result<Outcomes, OrderError> {
        let (answer, answered) = oneshot::channel();
        self.send(Order::Operate { operations, by: by.to_owned(), answer }).await?;
        answered.await.map_err(|_| OrderError::Gone)
    }

    /// What `look` makes of the book.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Book) -> T + Send + 'static,
    ) -> Result<T, OrderError> {
        let (answer, answered) = oneshot::channel();
        let look = Box::new(|book: &Book| drop(answer.send(look(book))));
        self.send(Order::Look(look)).await?;
        answered.await.map_err(|_| OrderError::Gone)
    }

    async fn send(&self, order: Order) -> Result<(), OrderError> {
        self.0.send(order).await.map_err(|_| OrderError::Gone)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schemas::alert::AlertKind;

    use super::*;
    use crate::fixture::{self, NOON, firing};

    /// A desk that carries out so many orders, and is gone.
    async fn desk(mut inbox: mpsc::Receiver<Order>, most: usize) {
        let mut book = Book::new(fixture::policy(), BTreeMap::new());
        book.fold(1, &firing(AlertKind::Disk, "a"), NOON);
        for _ in 0..most {
            match inbox.recv().await.unwrap() {
                Order::Look(look) => look(&book),
                Order::Operate { operations, by, answer } => {
                    let outcomes = operations.into_iter().map(|one| book.operate(one, &by, NOON).map(drop));
                    let _ = answer.send(outcomes.collect());
                }
            }
        }
    }

    #[tokio::test]
    async fn orders_are_answered_while_there_is_a_desk() {
        let (orders, inbox) = Orders::new();
        let key = firing(AlertKind::Disk, "a").fingerprint();
        let acknowledge = || orders.operate(Operation::Acknowledge { key: key.clone() }, "telegram:7");
        let asked = async {
            assert_eq!(acknowledge().await, Ok(()));
            let refused = Refused::Acknowledged("telegram:7".to_owned());
            assert_eq!(acknowledge().await, Err(OrderError::Refused(refused)));
            assert_eq!(orders.look(|book| book.incidents.len()).await, Ok(1));
            assert_eq!(acknowledge().await, Err(OrderError::Gone));
        };
        tokio::join!(desk(inbox, 3), asked);
    }
}
