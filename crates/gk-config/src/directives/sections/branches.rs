//! `<If>`, `<ElseIf>`, `<Else>`: sections that hold for the requests for which an expression is true.

use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::directives::rules::at;
use crate::raw::RawSection;
use crate::site::{Branch, Scope as Place, Section, SettingsPatch};
use crate::token::Word;
use gk_rules::expr::Expression;

const ANY: Contexts = Contexts::ANY.or(Contexts::HTACCESS);

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("<If>", "\"expression\"", ANY, Arity::exactly(1), start)
        .doc("Settings for requests for which an expression in Apache's expression language is true. They are applied after all \
            other sections. Inside a section only that section's requests are tested. The expression is quoted: `<If \
            \"%{REQUEST_METHOD} in {'PUT', 'DELETE'}\">`.\n\nSupported: all comparisons (`==`, `!=`, `<`, `-eq` …, `=~` and \
            `!~` with `$0` to `$9`, `in { }`, `-ipmatch`, `-strmatch`, `-strcmatch`, `-fnmatch`), `&&`, `||`, `!`, \
            parentheses, `true`, `false`, the tests `-n`, `-z`, `-T`, `-R`, `-e`, `-f`, `-d`, `-s`, `-L`, `-x`, the functions \
            `req`, `http`, `reqenv`, `env`, `osenv`, `tolower`, `toupper`, `escape`, `unescape`, `filesize`, and the variables \
            of a request. Anything else is an error that names it."),
    Directive::honoured("<ElseIf>", "\"expression\"", ANY, Arity::exactly(1), next)
        .doc("Settings for requests for which its expression is true, and those of the preceding `<If>` and `<ElseIf>` in the \
            same scope are false."),
    Directive::honoured("<Else>", "", ANY, Arity::exactly(0), last)
        .doc("Settings for requests for which none of the preceding expressions in the same scope is true."),
];

fn start(scope: &mut Scope, words: &[Word]) -> Applied {
    let expression = expression(words)?;
    scope.raw.branches.insert((scope.host, scope.section), vec![expression.clone()]);
    open(scope, Branch { not: Vec::new(), is: Some(expression) })
}

fn next(scope: &mut Scope, words: &[Word]) -> Applied {
    let expression = expression(words)?;
    let name = scope.name;
    let above = scope.raw.branches.get_mut(&(scope.host, scope.section)).ok_or_else(|| alone(name))?;
    let not = above.clone();
    above.push(expression.clone());
    open(scope, Branch { not, is: Some(expression) })
}

fn last(scope: &mut Scope, _: &[Word]) -> Applied {
    let name = scope.name;
    let not = scope.raw.branches.remove(&(scope.host, scope.section)).ok_or_else(|| alone(name))?;
    open(scope, Branch { not, is: None })
}

fn alone(name: &str) -> Complaint {
    Complaint::error(format!("{name} has no <If> above it in the same scope"))
}

fn expression(words: &[Word]) -> Result<Expression, Complaint> {
    Expression::new(&words[0].text).map_err(|mistake| at(words)(mistake.at(0)))
}

fn open(scope: &mut Scope, branch: Branch) -> Applied {
    let around = match scope.section {
        Some(index) => {
            let Section { scope: place, within, around, .. } = &scope.host().sections[index].section;
            let mut all = around.clone();
            all.push((place.clone(), within.clone()));
            all
        }
        None => Vec::new(),
    };
    let section = Section { scope: Place::If(branch), within: None, around, set: SettingsPatch::default() };
    scope.host().sections.push(RawSection { section });
    Ok(())
}
