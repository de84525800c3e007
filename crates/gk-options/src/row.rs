//! One row of a table of options, and the words that help and reference print of it. `Group` is the struct that holds
//! the values.

use crate::kind::Kind;
use crate::status::Status;
use crate::value::Value;

/// One option.
#[derive(Debug)]
pub struct Row<Group> {
    /// Key, lower case.
    pub name: &'static str,
    /// Help: whole sentences in Markdown.
    pub help: &'static str,
    /// Accepted values.
    pub kind: Kind,
    /// Words for the behaviour without the option, if its default is no value.
    pub absent: &'static str,
    /// Meaning of 0, if it has one of its own.
    pub zero: &'static str,
    /// Effect.
    pub status: Status,
    /// An addition of Gilkeeper that mod_wsgi does not have.
    pub ours: bool,
    /// The option of `serve` that sets it, if there is one.
    pub serve: Option<Serve>,
    /// Writes a value of the row's kind into a group.
    pub set: fn(&mut Group, Value),
    /// Reads the value of a group; see [`Row::value`].
    pub get: fn(&Group) -> Option<Value>,
}

/// The option of `serve` that sets an option of WSGIDaemonProcess.
#[derive(Debug, Clone, Copy)]
pub struct Serve {
    /// Heading of `--help` that it is listed under.
    pub heading: &'static str,
    /// Its name, where mod_wsgi-express has another one.
    pub name: Option<&'static str>,
    /// Its default, where mod_wsgi-express has another one: a number of the row's kind.
    pub default: Option<f64>,
    /// Its range, where it differs.
    pub kind: Option<Kind>,
    /// Its help, where `serve` needs other words.
    pub help: Option<&'static str>,
}

impl<Group: Default> Row<Group> {
    /// A row that is honoured, without name, help and access to the field: the table adds these.
    pub(crate) const fn new(kind: Kind) -> Self {
        Self {
            name: "",
            help: "",
            kind,
            absent: "none",
            zero: "",
            status: Status::Honoured,
            ours: false,
            serve: None,
            set: |_, _| (),
            get: |_| None,
        }
    }

    /// Adds the words for the behaviour without the option.
    pub(crate) const fn absent(self, absent: &'static str) -> Self {
        Self { absent, ..self }
    }

    /// Adds the meaning of 0.
    pub(crate) const fn zero(self, zero: &'static str) -> Self {
        Self { zero, ..self }
    }

    /// Marks the option as Gilkeeper's own.
    pub(crate) const fn ours(self) -> Self {
        Self { ours: true, ..self }
    }

    /// Marks the option as accepted without effect.
    pub(crate) const fn inert(self, why: &'static str) -> Self {
        Self { status: Status::WithoutEffect(why), ..self }
    }

    /// Marks the option as not built yet.
    pub(crate) const fn unbuilt(self, area: &'static str) -> Self {
        Self { status: Status::NotBuiltYet(area), ..self }
    }

    /// Reads the value of a group: of the row's kind, `None` when it was not given and has no default value.
    pub fn value(&self, group: &Group) -> Option<Value> {
        match ((self.get)(group)?, self.kind) {
            (Value::Whole(mode), Kind::Octal) => Some(Value::Octal(mode as u32)),
            (Value::Whole(0), Kind::WholeOrAuto { .. }) => Some(Value::Auto),
            (value, _) => Some(value),
        }
    }

    /// The value that holds without the option.
    pub fn default(&self) -> Option<Value> {
        self.value(&Group::default())
    }

    /// The default in words: the value with its unit, the meaning of 0, or what holds instead.
    pub fn default_words(&self) -> String {
        self.default().map_or_else(|| self.absent.to_owned(), |value| self.value_words(&value))
    }

    /// A value in words, with its unit and the meaning of 0.
    pub fn value_words(&self, value: &Value) -> String {
        match value.is_zero() && !self.zero.is_empty() {
            true => format!("0, {}", self.zero),
            false => format!("{}{}", value.spelled(), self.kind.unit()),
        }
    }

    /// The help without the blank that a comment begins with.
    pub fn help(&self) -> &'static str {
        self.help.trim_start()
    }

    /// Makes the option one of `serve`, too.
    pub(crate) const fn serve(self, heading: &'static str) -> Self {
        Self { serve: Some(Serve { heading, name: None, default: None, kind: None, help: None }), ..self }
    }
}

/// Changes the `serve` option of a row.
macro_rules! serve_with {
    ($($(#[$doc:meta])* $name:ident($field:ident: $type:ty);)+) => {
        impl<Group> Row<Group> {
            $($(#[$doc])*
            pub(crate) const fn $name(self, value: $type) -> Self {
                match self.serve {
                    Some(serve) => Self { serve: Some(Serve { $field: Some(value), ..serve }), ..self },
                    None => panic!("the row is no option of serve"),
                }
            })+
        }
    };
}

serve_with! {
    /// The default of `serve`.
    serve_default(default: f64);
    /// The name of the option of `serve`.
    serve_name(name: &'static str);
    /// The range of `serve`.
    serve_kind(kind: Kind);
    /// The help of `serve`.
    serve_help(help: &'static str);
}

impl Serve {
    /// The default of `serve` where it differs, as a value.
    pub fn default(&self, kind: Kind) -> Option<Value> {
        let number = self.default?;
        Some(match kind {
            Kind::Seconds | Kind::PositiveSeconds => Value::Seconds(number),
            _ => Value::Whole(number as u64),
        })
    }
}
