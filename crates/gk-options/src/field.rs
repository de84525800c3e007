//! Conversion between a [`Value`] and the typed field of [`ProcessGroup`](crate::ProcessGroup) that holds it.

use crate::value::Value;
use std::path::PathBuf;

/// The type of a field.
pub(crate) trait Field: Sized {
    /// The field's value for a value of the option's kind.
    ///
    /// # Panics
    /// When a row joins a kind and a type that do not fit; a test sets both ends of every row's range.
    fn of(value: Value) -> Self;
    /// The value in the field; `None` when the option was not given and has no default value.
    fn value(&self) -> Option<Value>;
}

/// Declares a field type: the pattern of its value, how the field is made of it, and the value of a field.
macro_rules! field {
    ($type:ty: $pattern:pat => $of:expr, |$field:ident| $value:expr) => {
        impl Field for $type {
            fn of(value: Value) -> Self {
                match value {
                    $pattern => $of,
                    other => panic!("a row's kind gives {other:?} for a field of another type"),
                }
            }

            fn value(&self) -> Option<Value> {
                let $field = self;
                Some($value)
            }
        }
    };
}

field!(u64: Value::Whole(number) => number, |field| Value::Whole(*field));
field!(i32: Value::Signed(number) => i32::try_from(number).expect("the row's range fits the field"),
    |field| Value::Signed(i64::from(*field)));
field!(f64: Value::Seconds(seconds) => seconds, |field| Value::Seconds(*field));
field!(bool: Value::Switch(on) => on, |field| Value::Switch(*field));
field!(String: Value::Text(text) => text, |field| Value::Text(field.clone()));
field!(PathBuf: Value::Path(path) => path, |field| Value::Path(field.clone()));
field!(Vec<String>: Value::Texts(all) => all, |field| Value::Texts(field.clone()));

impl Field for u32 {
    fn of(value: Value) -> Self {
        match value {
            Value::Octal(mode) => mode,
            // No range of a number that may be `auto` begins at 0.
            Value::Auto => 0,
            value => Self::try_from(u64::of(value)).expect("the row's range fits the field"),
        }
    }

    /// The kind of the row knows whether the number is written in octal, and whether 0 stands for `auto`.
    fn value(&self) -> Option<Value> {
        Some(Value::Whole(u64::from(*self)))
    }
}

impl<T: Field> Field for Option<T> {
    fn of(value: Value) -> Self {
        Some(T::of(value))
    }

    fn value(&self) -> Option<Value> {
        self.as_ref().and_then(Field::value)
    }
}

impl Field for Vec<PathBuf> {
    fn of(value: Value) -> Self {
        match value {
            Value::Paths(all) => all,
            other => panic!("a row's kind gives {other:?} for a list of paths"),
        }
    }

    /// An empty list is an option that was not given.
    fn value(&self) -> Option<Value> {
        (!self.is_empty()).then(|| Value::Paths(self.clone()))
    }
}
