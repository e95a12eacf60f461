//! Parts of rows: values of several fields that have no key and no table. They are messages within the message of their row,
//! and JSON in its column.

use super::message::{Message, Raw, Unreadable, write};
use super::{Column, Element, Kind};

/// A type of parts; `part!` makes it one.
pub trait Part: PartialEq + Sized {
    const COLUMNS: &'static [Column];

    fn put(&self, out: &mut Vec<u8>);

    fn get(message: &mut Message<'_>) -> Result<Self, Unreadable>;
}

impl<T: Part> Element<'_> for T {
    const ONE: Kind = Kind::Part(T::COLUMNS);
    const MANY: Kind = Kind::Parts(T::COLUMNS);

    fn put_one(&self, tag: u32, out: &mut Vec<u8>) {
        write::within(tag, out, |out| self.put(out));
    }

    fn get_one(raw: Raw<'_>) -> Result<Self, Unreadable> {
        T::get(&mut Message::new(raw.bytes()?))
    }
}

/// Makes a struct a [`Part`]: `part!(Money { 1 minor as "amount": i64, 2 currency: Currency })`. Its fields are read and
/// written as they are, or as `(|money| expression)` behind the field's name says, or, as `(if pattern => expression)` says,
/// when the part is so. With `=> expression` behind it, that says what the fields make, if they make anything.
macro_rules! part {
    (@put $part:ident $out:ident $tag:literal $field:ident) => {
        $crate::row::Field::put(&$part.$field, $tag, $out)
    };
    (@put $part:ident $out:ident $tag:literal $field:ident |$of:pat_param| $value:expr) => {{
        let $of = $part;
        $crate::row::Field::put(&$value, $tag, $out)
    }};
    (@put $part:ident $out:ident $tag:literal $field:ident if $of:pat => $value:expr) => {
        if let $of = $part {
            $crate::row::Field::put(&$value, $tag, $out)
        }
    };
    (
        $type:ident {
            $($tag:literal $field:ident $(as $name:literal)? $((|$of:pat_param| $value:expr))?
                $((if $when:pat => $then:expr))? $([$($mark:ident),+])?: $field_type:ty),+ $(,)?
        } => $made:expr
    ) => {
        impl $crate::row::Part for $type {
            const COLUMNS: &'static [$crate::row::Column] = &[$($crate::row::Column {
                tag: $tag,
                name: match [stringify!($field) $(, $name)?].as_slice() {
                    [.., name] => name,
                    [] => "",
                },
                kind: <$field_type as $crate::row::Field<'_>>::KIND,
                nullable: <$field_type as $crate::row::Field<'_>>::NULLABLE,
                marks: &[$($($crate::row::Mark::$mark),+)?],
            }),+];

            fn put(&self, out: &mut Vec<u8>) {
                $($crate::row::part!(@put self out $tag $field $(|$of| $value)? $(if $when => $then)?);)+
            }

            fn get(message: &mut $crate::row::Message<'_>) -> Result<Self, $crate::row::Unreadable> {
                $(let $field: $field_type = $crate::row::Field::get(message, $tag)?;)+
                Option::ok_or($made, $crate::row::Unreadable)
            }
        }
    };
}
pub(crate) use part;
