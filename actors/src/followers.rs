//! The list of followers.

use std::sync::Arc;

use crate::batch::{self, Telling};
use crate::follow::Follower;
use crate::journal::Position;
use crate::keeper::Keeping as _;
use crate::owners::Owners;
use crate::ports::{Store, StoreError};
use crate::totals::{self, Counted, Counting};
use crate::webhooks::{self, Heralded, Numbering};

/// A follower's name, and up to where it has followed.
pub type Followed = (&'static str, Position);

/// Everybody who follows the journal, each from where his owner stood when the engine started.
pub(crate) fn all(owners: &Owners) -> Vec<Box<dyn Follower>> {
    let batches = Arc::clone(&owners.batches);
    vec![
        Box::new(Counting::new(Arc::clone(&owners.totals_owner), owners)),
        Box::new(Telling::new(Arc::clone(&owners.batches_told), batches, owners.batch_peers())),
        Box::new(Numbering::new(Arc::clone(&owners.webhooks_owner), owners)),
    ]
}

/// Up to where they have followed as far as the database knows; those without a row are new, and are left out.
pub async fn followed(store: &dyn Store) -> Result<Vec<Followed>, StoreError> {
    let counted = totals::followed(store).await?.map(|position| (Counted::KEY, position));
    let told = batch::followed(store).await?.map(|position| (batch::Told::KEY, position));
    let heralded = webhooks::followed(store).await?.map(|position| (Heralded::KEY, position));
    Ok([counted, told, heralded].into_iter().flatten().collect())
}
