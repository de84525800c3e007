//! Remarks below a table: what limits the conclusions from its figures. Pure.

use super::columns::three_digits;
use super::row::Row;
use gk_load::text::GENERATOR_BUSY;

/// Share of all cores' time above which the machine counts as the limit.
const MACHINE_BUSY: f64 = 0.97;
/// Average number of threads waiting for a core above which a remark is made.
const WAITING: f64 = 0.5;
/// Up to this factor between CPU times per request, the work counts as the same.
const SAME_WORK: f64 = 1.15;
/// Above this factor the cost of switching cannot explain the difference: the requests did less work.
const OTHER_WORK: f64 = 1.6;

/// The remarks on one table; `cores`: of the machine.
pub fn of(rows: &[Row], cores: usize) -> Vec<String> {
    let mut said = Vec::new();
    said.extend(work(rows));
    said.extend(spread(rows));
    said.extend(limits(rows, cores));
    for row in rows {
        let name = &row.variant;
        if row.errors > 0 {
            let kinds: Vec<String> =
                row.failures.iter().map(|(what, count)| format!("{count} × {what}")).collect();
            said.push(format!("{name}: failed requests: {}.", kinds.join(", ")));
        }
        if let Some(module) = &row.gil_module {
            said.push(format!("{name}: {module} turned the GIL on again, so this row is not without a GIL."));
        }
        if row.replaced > 0 {
            said.push(format!("{name}: {} workers came or went while it was measured.", row.replaced));
        }
    }
    if let Some(names) = names(rows, |row| !row.exact) {
        said.push(format!("GIL waits are a lower bound, not exact, in {names}."));
    }
    said
}

/// Names of the rows that fit, as one phrase.
fn names(rows: &[Row], fits: impl Fn(&Row) -> bool) -> Option<String> {
    let found: Vec<&str> = rows.iter().filter(|row| fits(row)).map(|row| row.variant.as_str()).collect();
    match found.len() {
        0 => None,
        all if all == rows.len() && all > 1 => Some("all rows".into()),
        _ => Some(found.join("; ")),
    }
}

/// A sentence on whether all rows did the same work: only then can requests per minute be compared.
fn work(rows: &[Row]) -> Option<String> {
    let cpu = |row: &Row| row.value("cpu_per_request_ms").map(|middle| middle.median);
    let rpm = |row: &Row| row.value("requests_per_minute").map(|middle| middle.median);
    let most = rows
        .iter()
        .filter(|r| cpu(r).is_some())
        .max_by(|a, b| cpu(a).partial_cmp(&cpu(b)).expect("numbers"))?;
    let least = rows
        .iter()
        .filter(|r| cpu(r).is_some())
        .min_by(|a, b| cpu(a).partial_cmp(&cpu(b)).expect("numbers"))?;
    let (high, low) = (cpu(most)?, cpu(least)?);
    if rows.len() < 2 || low < 0.05 {
        return None;
    }
    if high / low < SAME_WORK {
        return Some(format!(
            "CPU per request is the same in all rows ({} to {} ms): every configuration did the same work, and requests \
             per minute can be compared.",
            three_digits(low),
            three_digits(high)
        ));
    }
    let meet = most.value("cpu_per_request_ms").zip(least.value("cpu_per_request_ms"));
    if high / low < OTHER_WORK && meet.is_some_and(|(a, b)| a.rounds > 1 && a.overlaps(&b)) {
        // The rounds of one row differ by as much.
        return None;
    }
    if high / low < OTHER_WORK {
        return Some(format!(
            "CPU per request differs: {} ms in “{}”, {} ms in “{}”. Threads that take turns lose CPU time to switches and cold caches, and a handler that runs for a fixed time does less work while it waits; requests per minute reflect both.",
            three_digits(high),
            most.variant,
            three_digits(low),
            least.variant
        ));
    }
    if most
        .value("requests_per_minute")
        .zip(least.value("requests_per_minute"))
        .is_some_and(|(a, b)| a.overlaps(&b))
    {
        // A factor of what does not differ would mean nothing.
        return Some(format!(
            "CPU per request is not the same in all rows: {} ms in “{}”, {} ms in “{}”. Their requests per minute vary too much to say by how much they differ.",
            three_digits(high),
            most.variant,
            three_digits(low),
            least.variant
        ));
    }
    let (fast, slow) = (rpm(least)?, rpm(most)?);
    let cores = |row: &Row| Some(rpm(row)? / 60.0 * cpu(row)? / 1e3);
    Some(format!(
        "CPU per request is not the same in all rows: {high} ms in “{most}”, {low} ms in “{least}”. A handler with a fixed amount of work uses the same CPU time everywhere; one that runs for a fixed time does less work, the longer it waits for the GIL or a core. So {fast} requests a minute against {slow} are {factor} × the requests, but \
         {done} s of computing in each second against {before} s: {gain} × the work.",
        high = three_digits(high),
        low = three_digits(low),
        most = most.variant,
        least = least.variant,
        fast = three_digits(fast),
        slow = three_digits(slow),
        factor = three_digits(fast / slow),
        done = three_digits(cores(least)?),
        before = three_digits(cores(most)?),
        gain = three_digits(cores(least)? / cores(most)?),
    ))
}

/// Rows that do not differ from the first one beyond the spread of their rounds.
fn spread(rows: &[Row]) -> Option<String> {
    let (first, rest) = rows.split_first()?;
    let base = first.value("requests_per_minute")?;
    if base.rounds < 2 {
        return (!rest.is_empty())
            .then(|| "One round only: how far figures scatter is not known.".to_owned());
    }
    let near: Vec<&str> = rest
        .iter()
        .filter(|row| row.value("requests_per_minute").is_some_and(|other| other.overlaps(&base)))
        .map(|row| row.variant.as_str())
        .collect();
    if near.is_empty() {
        return None;
    }
    let verb = if near.len() == 1 { "differs" } else { "differ" };
    Some(format!(
        "{} {verb} from “{}” in requests per minute by no more than the rounds differ among themselves: that is no \
         difference.",
        near.join("; "),
        first.variant
    ))
}

/// Rows in which the generator or the machine was the limit.
fn limits(rows: &[Row], cores: usize) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(names) = names(rows, |row| row.generator_busy > GENERATOR_BUSY) {
        said.push(format!(
            "The load generator had no time left in {names}: it was the limit there, not the server; in a plan, \
             `generator-threads` gives it more."
        ));
    }
    if let Some(names) = names(rows, |row| row.cores_busy > MACHINE_BUSY) {
        said.push(format!("All {cores} cores of the machine were busy in {names}: it was the limit there."));
    }
    if let Some(names) = names(rows, |row| row.run_delay > WAITING) {
        let most = rows.iter().map(|row| row.run_delay).fold(0.0, f64::max);
        said.push(format!(
            "On average up to {} threads of the server waited for a core in {names}: more processes or threads than cores.",
            three_digits(most)
        ));
    }
    let shared = rows.iter().any(|row| !row.pinned);
    let used = rows.iter().map(|row| row.generator_cores).fold(0.0, f64::max);
    if shared && used > 0.1 {
        said.push(format!(
            "The load generator shared the {cores} cores with the server and used up to {} of one.",
            three_digits(used)
        ));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::columns::{COLUMNS, MedianRange};

    fn row(name: &str, rpm: [f64; 2], cpu: f64) -> Row {
        let value = |id: &str| match id {
            "requests_per_minute" => MedianRange::of(rpm.to_vec()),
            "cpu_per_request_ms" => MedianRange::of(vec![cpu]),
            _ => None,
        };
        let values = COLUMNS.iter().map(|column| value(column.id)).collect();
        Row { variant: name.into(), values, exact: true, pinned: true, ..Row::default() }
    }

    #[test]
    fn less_work_per_request_is_not_called_more_throughput() {
        let rows = [row("slow", [18_000.0, 19_000.0], 3.0), row("fast", [60_000.0, 62_000.0], 1.2)];
        let said = of(&rows, 2);
        assert_eq!(said.len(), 1, "{said:?}");
        for part in ["3.00 ms in “slow”, 1.20 ms in “fast”", "3.30 × the requests", "1.32 × the work"]
        {
            assert!(said[0].contains(part), "{part}: {}", said[0]);
        }
    }

    /// Reported: a line said 1.68 × the requests, and the next one that this is no difference. Met with rounds that scatter.
    #[test]
    fn no_factor_is_told_of_what_scatters() {
        let rows = [row("slow", [18_000.0, 61_000.0], 3.0), row("fast", [30_000.0, 62_000.0], 1.2)];
        let said = of(&rows, 2);
        assert!(said[0].contains("vary too much") && said[1].contains("that is no difference"), "{said:?}");
        assert!(!said.concat().contains("× the requests"), "{said:?}");
    }

    #[test]
    fn a_difference_that_switching_explains_is_no_other_work() {
        let rows = [row("a", [60_000.0, 61_000.0], 0.95), row("b", [120_000.0, 125_000.0], 0.7)];
        assert!(of(&rows, 2)[0].starts_with("CPU per request differs: 0.95 ms in “a”, 0.70 ms in “b”."));
    }

    #[test]
    fn the_same_work_within_the_spread_is_no_difference() {
        let rows = [row("a", [18_000.0, 19_000.0], 3.0), row("b", [18_900.0, 20_000.0], 3.1)];
        let said = of(&rows, 2);
        assert!(said[0].contains("did the same work"), "{said:?}");
        assert!(said[1].starts_with("b differs from “a”"), "{said:?}");
    }

    #[test]
    fn generator_machine_and_failures_are_named() {
        let mut rows = [row("a", [1.0, 2.0], 0.0), row("b", [5.0, 6.0], 0.0)];
        (rows[0].generator_busy, rows[0].generator_cores, rows[0].pinned) = (0.99, 0.99, false);
        (rows[1].cores_busy, rows[1].run_delay, rows[1].exact) = (0.999, 2.0, false);
        (rows[1].errors, rows[1].failures) = (3, [("timed out".to_owned(), 3)].into());
        let said = of(&rows, 2).join("\n");
        for part in [
            "had no time left in a:",
            "All 2 cores of the machine were busy in b",
            "up to 2.00 threads of the server waited for a core in b",
            "shared the 2 cores",
            "b: failed requests: 3 × timed out.",
            "not exact, in b.",
        ] {
            assert!(said.contains(part), "{part}:\n{said}");
        }
    }
}
