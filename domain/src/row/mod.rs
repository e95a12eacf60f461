//! Rows: what a decision leaves behind, declared once. A row type says of each field its tag, its name, its kind, whether
//! it is part of the key and whether it is kept from people; the type beside which it stands is written into it and made
//! from it.
//!
//! A row is stored as one message: fields with numbered tags in the wire format of protobuf, rising. Everybody else
//! handles messages and the plain data of [`TABLES`](crate::tables::TABLES): the journal carries them, Postgres turns them
//! into columns and back, `journal dump` shows them. Here is no SQL, and no idea of who stores what.
//!
//! Tags are never reused, and a new field is optional: records that were written stay readable (rule 23).

mod field;
mod json;
mod kept;
mod message;
mod part;
mod rows;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use field::text_fields;
pub use field::{Element, Field, List, Numbers, Uuid};
pub use message::{Message, Raw, Unreadable, write};
pub use part::Part;
pub(crate) use part::part;
pub use rows::Rows;

use crate::id_text;

/// Marks a row that this is the first image of, see [`First`].
const TRUE: u64 = 1;

/// What a column holds. In a message: a text or bytes, or a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Text,
    /// The 16 bytes of an id of ours. People read its text.
    Uuid,
    /// `YYYY-MM-DD`.
    Date,
    Bytes,
    Flag,
    /// At most 32 bits, never negative.
    Small,
    /// 64 bits, never negative.
    Count,
    /// 64 bits, signed.
    Signed,
    /// In milliseconds since the Unix epoch.
    Instant,
    Texts,
    /// Of [`Kind::Small`].
    Numbers,
    /// A message within the message.
    Part(&'static [Column]),
    Parts(&'static [Column]),
}

impl Kind {
    /// Whether there may be several, one after the other.
    pub const fn is_list(self) -> bool {
        matches!(self, Kind::Texts | Kind::Numbers | Kind::Parts(_))
    }
}

/// What is special about a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// Part of the primary key.
    Key,
    /// Personal or secret: not for people who look at records.
    Hidden,
    /// Its parts stand there without their names, because there are thousands of them.
    Compact,
    /// A database keeps its JSON as the text that was sent: that costs it a fraction of taking it apart.
    Json,
    /// An image without it leaves it as it was, see [`Table::filled`].
    Kept,
}

/// A column, as everybody knows it who does not know the type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column {
    pub tag: u32,
    pub name: &'static str,
    pub kind: Kind,
    /// Whether it may have no value at all.
    pub nullable: bool,
    pub marks: &'static [Mark],
}

impl Column {
    pub fn is(&self, mark: Mark) -> bool {
        self.marks.contains(&mark)
    }
}

/// How it is known whether an image is the first of its row. It is a hint for whoever stores it: a row that is new costs a
/// database much less when it knows so. It may be wrong, and old records lack it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum First {
    /// The table is only ever added to.
    Always,
    /// First images carry a mark under this tag.
    Marked(u32),
    Unknown,
}

/// Where a table's rows stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Home {
    /// In a database that follows the journal: it has a table of this name.
    Database,
    /// Only in the journal, for as long as it keeps them: databases pass over them.
    Journal,
    /// Earlier releases have written them: [`renewed`](crate::earlier::renewed) says how they are written now.
    Earlier,
}

impl Home {
    /// What a declaration says; most say nothing.
    pub const fn of(said: &[Home]) -> Home {
        match said {
            [home, ..] => *home,
            [] => Home::Database,
        }
    }
}

/// A table, as everybody knows it who does not know the type of its rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Table {
    /// Its tag among [`Rows`].
    pub slot: u32,
    pub name: &'static str,
    pub first: First,
    pub home: Home,
    /// By rising tag.
    pub columns: &'static [Column],
}

/// The column that every row has: the version of its owner's key with which the image was written.
pub const VERSION: &str = "version";

impl Table {
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub fn key_columns(&self) -> impl Iterator<Item = &'static Column> {
        self.columns.iter().filter(|column| column.is(Mark::Key))
    }

    /// The version of an image.
    pub fn version(&self, image: &[u8]) -> Result<u64, Unreadable> {
        let Some(column) = self.column(VERSION) else { return Ok(0) };
        Ok(Message::new(image).number(column.tag)?.unwrap_or(0))
    }

    /// The values of an image's key, in a form that differs whenever the key does.
    pub fn key(&self, image: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let (mut message, mut key) = (Message::new(image), Vec::with_capacity(40));
        for column in self.key_columns() {
            if let Some(raw) = message.take(column.tag)? {
                raw.put(column.tag, &mut key);
            }
        }
        Ok(key)
    }

    /// Whether whoever wrote the image believes that it is the first of its row.
    pub fn is_first(&self, image: &[u8]) -> Result<bool, Unreadable> {
        match self.first {
            First::Always => Ok(true),
            First::Unknown => Ok(false),
            First::Marked(tag) => Ok(Message::new(image).number(tag)? == Some(TRUE)),
        }
    }

    /// An image without its mark: what is stored.
    pub fn unmarked(&self, image: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let First::Marked(mark) = self.first else { return Ok(image.to_vec()) };
        let (mut message, mut out) = (Message::new(image), Vec::with_capacity(image.len()));
        while let Some((tag, raw)) = message.next_field()? {
            if tag != mark {
                raw.put(tag, &mut out);
            }
        }
        Ok(out)
    }

    /// The key as people write it; of a damaged image what can be read.
    pub fn key_text(&self, image: &[u8]) -> String {
        let mut message = Message::new(image);
        let value = |column: &Column| match message.take(column.tag) {
            Ok(Some(Raw::Text(id))) if column.kind == Kind::Uuid => {
                id_text::of_bytes(id).map_or_else(|| "?".to_owned(), |text| String::from_utf8_lossy(&text).into_owned())
            }
            Ok(Some(Raw::Text(text))) => String::from_utf8_lossy(text).into_owned(),
            Ok(Some(Raw::Number(number))) => number.to_string(),
            Ok(None) => "0".to_owned(),
            Err(Unreadable) => "?".to_owned(),
        };
        self.key_columns().map(value).collect::<Vec<_>>().join("/")
    }

    /// That an image is damaged.
    pub fn damage(&self, image: &[u8], what: impl Into<String>) -> Damage {
        Damage { table: self.name, key: self.key_text(image), what: what.into() }
    }
}

/// A row that does not hold what was once written, or rows that do not fit together. It is damage, not input: whoever
/// loads them stops and says which row it is.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("row {key} of {table}: {what}")]
pub struct Damage {
    pub table: &'static str,
    pub key: String,
    /// Names a column, never a value: that may be personal.
    pub what: String,
}

/// A row type; [`row!`](crate::row!) makes it.
pub trait Row<'a>: Sized {
    const TABLE: &'static Table;

    /// Appends the row's fields.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads the row's fields. The error is the name of the column that cannot be read.
    fn get(message: &mut Message<'a>) -> Result<Self, &'static str>;

    /// The row that an image is.
    fn read(image: &'a [u8]) -> Result<Self, Damage> {
        let mut message = Message::new(image);
        let row = Self::get(&mut message);
        let row = row.and_then(|row| message.finish().map(|()| row).map_err(|Unreadable| "the end"));
        row.map_err(|what| Self::TABLE.damage(image, format!("{what} cannot be read")))
    }

    /// That this row is damaged or does not fit the others.
    fn damage(&self, what: impl Into<String>) -> Damage {
        let mut image = Vec::new();
        self.put(&mut image);
        Self::TABLE.damage(&image, what)
    }
}

/// Declares a row type:
///
/// ```text
/// row! {
///     /// Its documentation.
///     pub struct PortRow<'a>: 17 "ports", First::Unknown;
///     1 port_code [Key]: PortCode,
///     2 version: u64,
///     3 name_zh: &'a str,
/// }
/// ```
///
/// makes the struct with these public fields, and [`Row`] for it: the table's slot, name and columns (the fields, in the
/// order of their tags), and the way into a message and back. Rows that no database stores have `, Home::Journal` behind the
/// rest. A field's type decides the column's kind, see [`Field`]. A row
/// that borrows nothing has no `<'a>`; one that does calls it so.
#[macro_export]
macro_rules! row {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $(<$a:lifetime>)?: $slot:literal $table:literal, $first:expr $(, $home:expr)?;
        $($(#[$doc:meta])* $tag:literal $field:ident $([$($mark:ident),+])?: $type:ty,)+
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Debug)]
        pub struct $name $(<$a>)? {
            $($(#[$doc])* pub $field: $type,)+
        }

        impl<'a> $crate::row::Row<'a> for $name $(<$a>)? {
            const TABLE: &'static $crate::row::Table = &$crate::row::Table {
                slot: $slot,
                name: $table,
                first: $first,
                home: $crate::row::Home::of(&[$($home)?]),
                columns: &[$($crate::row::Column {
                    tag: $tag,
                    name: stringify!($field),
                    kind: <$type as $crate::row::Field<'a>>::KIND,
                    nullable: <$type as $crate::row::Field<'a>>::NULLABLE,
                    marks: &[$($($crate::row::Mark::$mark),+)?],
                }),+],
            };

            fn put(&self, out: &mut Vec<u8>) {
                $($crate::row::Field::put(&self.$field, $tag, out);)+
            }

            fn get(message: &mut $crate::row::Message<'a>) -> Result<Self, &'static str> {
                $(let $field = $crate::row::Field::get(message, $tag).map_err(|_| stringify!($field))?;)+
                Ok($name { $($field),+ })
            }
        }
    };
}
