//! The tree of an expression.

use crate::network::Network;
use crate::regexp::Regexp;
use crate::server_variables::ServerVariable;

/// What is true or false.
#[derive(Debug)]
pub(crate) enum Condition {
    Constant(bool),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
    /// Texts by their bytes.
    Compare(Word, Order, Word),
    /// Numbers at the start of both texts.
    Number(Word, Order, Word),
    /// `=~`, or `!~` where the second is true.
    Match(Word, bool, Regexp),
    In(Word, Vec<Word>),
    Test(Test, Word),
    /// `-R`
    Client(Network),
    /// `-ipmatch`
    Address(Word, Network),
    Glob(Word, Glob, Word),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Equal,
    Differs,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// An operator before a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    /// `-n`
    Filled,
    /// `-z`
    Empty,
    /// `-T`
    True,
    /// `-d`
    Directory,
    /// `-e`
    Exists,
    /// `-f`
    File,
    /// `-s`
    FileWithContent,
    /// `-h`, `-L`
    Link,
    /// `-x`
    Executable,
}

/// `-strmatch` and its relatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Glob {
    Text,
    AnyCase,
    Path,
}

/// What is a text.
#[derive(Debug)]
pub(crate) enum Word {
    Text(Vec<u8>),
    Variable(ServerVariable),
    /// `SSL_PROTOCOL` and its relatives.
    Tls(String),
    /// `$1`
    Group(usize),
    Joined(Vec<Self>),
    Call(Function, Box<Self>),
}

/// A function of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// `req`, `http`
    Header,
    /// `req_novary`: caches are not told.
    HeaderAside,
    /// `reqenv`
    RequestEnv,
    /// `env`: a variable of the request, else of the process.
    Env,
    /// `osenv`
    ProcessEnv,
    Lower,
    Upper,
    Escape,
    Unescape,
    FileSize,
}
