//! The list of an owner's registers.

/// Makes the registers of an owner from one list: `registers!(Catalogue, OWNER; operators: Operator, ports: Port,)` makes
///
/// - `Registers`, with a [`Register`](super::Register) under each name, and `Registered`, which finds it by its kind,
/// - `Change`, `Key` and `Written`, with a variant for each entity: what is written, its id, and what that did,
/// - and, with the `Command` and `Event` of the module that has the list, what is the same for each of them: decide,
///   evolve, the rows both ways, and a change from stored text.
macro_rules! registers {
    ($world:ty, $owner:expr; $($name:ident: $entity:ident,)+) => {
        /// What is configured, kind by kind.
        #[derive(Clone, PartialEq, Debug, Default)]
        pub struct Registers { $(pub $name: $crate::register::Register<$entity>,)+ }

        /// A write to one of the entities.
        #[derive(Clone, PartialEq, Debug)]
        pub enum Change { $($entity($crate::register::Change<$entity>),)+ }

        /// An entity's kind and id.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum Key { $($entity(<$entity as $crate::register::Entity>::Id),)+ }

        /// What a write did.
        #[derive(Clone, PartialEq, Debug)]
        pub enum Written { $($entity($crate::register::Written<$entity>),)+ }

        /// A kind that is in the list.
        pub trait Registered: $crate::register::Entity<World = $world> {
            fn of(registers: &Registers) -> &$crate::register::Register<Self>;
            fn key(id: Self::Id) -> Key;
            fn told(change: $crate::register::Change<Self>) -> Change;
        }

        $(impl Registered for $entity {
            fn of(registers: &Registers) -> &$crate::register::Register<$entity> {
                &registers.$name
            }

            fn key(id: Self::Id) -> Key {
                Key::$entity(id)
            }

            fn told(change: $crate::register::Change<$entity>) -> Change {
                Change::$entity(change)
            }
        })+

        $(impl From<$entity> for Change {
            fn from(content: $entity) -> Change {
                Change::$entity($crate::register::Change::Put(std::sync::Arc::new(content)))
            }
        })+

        impl Change {
            /// Back to what an earlier revision held, as its audit entry has it. `None`: there is none.
            pub fn restore(key: Key, revision: Option<u32>, content: Option<&str>) -> serde_json::Result<Change> {
                let change = match key {
                    $(Key::$entity(id) => Change::$entity($crate::register::Change::Restore {
                        id, revision, content: content.map(serde_json::from_str).transpose()?.map(std::sync::Arc::new),
                    }),)+
                };
                Ok(change)
            }

            /// What is written.
            pub fn key(&self) -> Key {
                match self { $(Change::$entity(change) => Key::$entity(change.id().clone()),)+ }
            }

            pub fn withdraw(key: Key) -> Change {
                match key { $(Key::$entity(id) => Change::$entity($crate::register::Change::Withdraw(id)),)+ }
            }
        }

        impl Key {
            /// The kind and the id, as the audit has them.
            pub fn names(&self) -> (&'static str, String) {
                match self { $(Key::$entity(id) => (<$entity as $crate::register::Entity>::NAME, id.to_string()),)+ }
            }
        }

        impl Registers {
            /// Of what they are read.
            pub const TABLES: &[&$crate::row::Table] = &[$(<$entity as $crate::register::Entity>::TABLE),+];

            /// Whether it is there, or was before it was withdrawn.
            pub fn knows(&self, key: &Key) -> bool {
                match key { $(Key::$entity(id) => self.$name.entry(id).is_some(),)+ }
            }

            fn decide(&self, command: &Command, world: &$world, now: $crate::time::Timestamp) -> Option<Event> {
                match &command.change {
                    $(Change::$entity(change) =>
                        self.$name.decide(change, (&command.by, command.refused.as_ref()), world, now).map(|event| event.map(Written::$entity)),)+
                }
            }

            fn standing(&self, change: &Change, world: &$world, changed: bool) -> $crate::register::Standing {
                match change { $(Change::$entity(change) => self.$name.standing(change, world, changed),)+ }
            }

            fn evolve(&mut self, written: &Written) {
                match written { $(Written::$entity(written) => self.$name.evolve(written),)+ }
            }

            fn put_rows(written: &Written, world: &$world, version: u64, rows: &mut $crate::row::Rows) {
                match written { $(Written::$entity(written) => written.put_rows($owner, world, version, rows),)+ }
            }

            fn put_all(&self, world: &$world, version: u64, rows: &mut $crate::row::Rows) {
                $(self.$name.put_all($owner, world, version, rows);)+
            }

            fn read(rows: &$crate::row::Rows) -> Result<Registers, $crate::row::Damage> {
                let revisions = $crate::register::Revisions::read(rows)?;
                Ok(Registers { $($name: $crate::register::Register::read(rows, &revisions)?,)+ })
            }
        }
    };
}
pub(crate) use registers;
