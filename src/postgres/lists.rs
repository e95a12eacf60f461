//! Lists that people page through. They wait for nobody and starve nobody: a lane of their own, the newest page
//! first, and a cursor that stays right while rows are added.

use async_trait::async_trait;
use deeptravel_actors::ports::{self, Load, Parameter, StoreError};
use deeptravel_domain::row::Rows;

use super::store::load::load;
use super::{Database, Lane};

/// The lists, as Postgres has them: behind the journal by as much as the projection is.
#[async_trait]
impl ports::Lists for Database {
    fn is_available(&self) -> bool {
        Database::is_available(self)
    }

    async fn load(&self, wanted: Load, parameters: Vec<Parameter>) -> Result<Rows, StoreError> {
        Ok(self.run(Lane::Lists, move |session| load(session, wanted, parameters)).await?)
    }
}
