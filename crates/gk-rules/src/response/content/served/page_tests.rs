//! The pages, beside those that Apache 2.4 made of the same folder.

use super::*;

fn entry(name: &str, size: u64) -> Entry {
    Entry { name: name.as_bytes().to_vec(), folder: name == "dir", size, modified: 1_000_000_000 }
}

fn page(words: &[&str], query: &str, url: &str) -> String {
    let mut listing = Listing::default();
    listing.add_options(words).unwrap();
    let date = |_: i64, old: bool| if old { "09-Sep-2001 01:46" } else { "2001-09-09 01:46" }.to_owned();
    let page = Page {
        url: url.as_bytes(),
        chosen: Chosen::read(query),
        header: None,
        readme: None,
        more: false,
        date: &date,
    };
    let entries = vec![
        entry("huge.zip", 12_345_678),
        entry("a b&<c>\".txt", 2),
        entry("dir", 4096),
        entry("averyveryverylongfilenamethatgoesonandon.txt", 2),
        entry("big.bin", 5000),
    ];
    let whole = render(&listing, page, entries);
    whole.split_once(" <body>\n").unwrap().1.to_owned()
}

#[test]
fn a_bare_list() {
    let want = r#"<h1>Index of /list/plain</h1>
<ul><li><a href="/list/"> Parent Directory</a></li>
<li><a href="a%20b%26%3cc%3e%22.txt"> a b&amp;&lt;c&gt;&quot;.txt</a></li>
<li><a href="averyveryverylongfilenamethatgoesonandon.txt"> averyveryverylongfilenamethatgoesonandon.txt</a></li>
<li><a href="big.bin"> big.bin</a></li>
<li><a href="dir/"> dir/</a></li>
<li><a href="huge.zip"> huge.zip</a></li>
</ul>
</body></html>
"#;
    assert_eq!(page(&[], "", "/list/plain/"), want);
}

#[test]
fn columns() {
    let want = r#"<h1>Index of /list/fancy</h1>
<pre>      <a href="?C=N;O=D">Name</a>                    <a href="?C=M;O=A">Last modified</a>      <a href="?C=S;O=A">Size</a>  <a href="?C=D;O=A">Description</a><hr>      <a href="/list/">Parent Directory</a>                             -   
      <a href="a%20b%26%3cc%3e%22.txt">a b&amp;&lt;c&gt;&quot;.txt</a>            2001-09-09 01:46    2   
      <a href="averyveryverylongfilenamethatgoesonandon.txt">averyveryverylongfil..&gt;</a> 2001-09-09 01:46    2   
      <a href="big.bin">big.bin</a>                 2001-09-09 01:46  4.9K  
      <a href="dir/">dir/</a>                    2001-09-09 01:46    -   
      <a href="huge.zip">huge.zip</a>                2001-09-09 01:46   12M  
<hr></pre>
</body></html>
"#;
    assert_eq!(page(&["FancyIndexing"], "", "/list/fancy/"), want);
}

#[test]
fn a_table() {
    let want = r#"<h1>Index of /</h1>
  <table>
   <tr><th valign="top">&nbsp;</th><th><a href="?C=N;O=A;F=2">Name</a></th><th><a href="?C=M;O=A;F=2">Last modified</a></th><th><a href="?C=S;O=D;F=2">Size</a></th></tr>
   <tr><th colspan="4"><hr></th></tr>
<tr><td valign="top">&nbsp;</td><td><a href="dir/">dir/</a>                   </td><td align="right">2001-09-09 01:46  </td><td align="right">  - </td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="a%20b%26%3cc%3e%22.txt">a b&amp;&lt;c&gt;&quot;.txt</a>           </td><td align="right">2001-09-09 01:46  </td><td align="right">  2 </td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="averyveryverylongfilenamethatgoesonandon.txt">averyveryverylongfil..&gt;</a></td><td align="right">2001-09-09 01:46  </td><td align="right">  2 </td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="big.bin">big.bin</a>                </td><td align="right">2001-09-09 01:46  </td><td align="right">4.9K</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="huge.zip">huge.zip</a>               </td><td align="right">2001-09-09 01:46  </td><td align="right"> 12M</td></tr>
   <tr><th colspan="4"><hr></th></tr>
</table>
</body></html>
"#;
    assert_eq!(page(&["SuppressDescription"], "C=S;F=2", "/"), want);
}

#[test]
fn the_longest_name_makes_the_column() {
    let found = page(&["FancyIndexing", "NameWidth=*", "UseOldDateFormat"], "", "/");
    let line =
        "<a href=\"big.bin\">big.bin</a>                                      09-Sep-2001 01:46  4.9K  \n";
    assert!(found.contains(line), "{found}");
    assert!(found.contains("averyveryverylongfilenamethatgoesonandon.txt</a> 09-Sep-2001"), "{found}");
}

#[test]
fn what_a_client_sends_is_escaped() {
    let found = page(&["FancyIndexing"], "P=*.txt\"><script>&C=N", "/<b>/");
    assert!(!found.contains("<script") && !found.contains("<b>"), "{found}");
    assert!(found.contains("?C=M;O=A;P=*.txt%22%3e%3cscript%3e"), "{found}");
}

#[test]
fn sizes() {
    let table = [
        (0, "  0 "),
        (972, "972 "),
        (973, "1.0K"),
        (1024, "1.0K"),
        (5000, "4.9K"),
        (10_200, " 10K"),
        (12_345_678, " 12M"),
        (u64::MAX, " 16E"),
    ];
    for (size, want) in table {
        assert_eq!(size_of(&entry("a", size)), want, "{size}");
    }
}

#[test]
fn orders() {
    let names = |words: &[&str], order: Order, names: &[&str]| {
        let mut listing = Listing::default();
        listing.add_options(words).unwrap();
        let mut entries: Vec<Entry> = names.iter().map(|name| entry(name, name.len() as u64)).collect();
        sort(&listing, order, listing.has(Flag::VersionSort), &mut entries);
        entries.iter().map(|e| String::from_utf8(e.name.clone()).unwrap()).collect::<Vec<_>>().join(" ")
    };
    let up = Order::default();
    let all = ["b10", "b9", "dir", "B1", "a"];
    assert_eq!(names(&[], up, &all), "B1 a b10 b9 dir");
    assert_eq!(names(&["IgnoreCase"], up, &all), "a B1 b10 b9 dir");
    assert_eq!(names(&["VersionSort"], up, &all), "B1 a b9 b10 dir");
    assert_eq!(names(&["FoldersFirst"], Order { descending: true, ..up }, &all), "dir b9 b10 a B1");
    assert_eq!(names(&[], Order { column: Column::Size, descending: false }, &all), "dir a B1 b9 b10");
}
