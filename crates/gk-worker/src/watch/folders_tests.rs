//! What counts as a change of a project.

use super::*;
use std::fs;

#[test]
fn a_change_of_source_or_template_is_told_wherever_it_is_in_the_project() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("site");
    for folder in ["shop", "shop/templates/shop", ".git", "venv/lib", "node_modules/x"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(root.join("venv/pyvenv.cfg"), "").unwrap();
    let mut folders = Folders::watch(std::slice::from_ref(&root)).unwrap();
    // Each step in the first column is answered by its file, and what does not count before it is passed over.
    let write = |name: &str| fs::write(root.join(name), "x").unwrap();
    let mut next = |until: &str| loop {
        let changed = folders.changed().unwrap();
        assert!(changed.iter().all(|path| *path == root.join(until)), "{changed:?} for {until}");
        if !changed.is_empty() {
            return;
        }
    };
    write("notes.txt");
    write(".git/x.py");
    write("venv/lib/x.py");
    write("node_modules/x/x.py");
    write("shop/.#models.py");
    write("shop/models.py");
    next("shop/models.py");
    write("shop/templates/shop/mail.txt");
    next("shop/templates/shop/mail.txt");
    // As editors save: beside it, then over it.
    write("shop/models.py.new");
    fs::rename(root.join("shop/models.py.new"), root.join("shop/models.py")).unwrap();
    next("shop/models.py");
    // A folder that came later, with what was in it when it came.
    let moved = place.path().join("moved");
    fs::create_dir(&moved).unwrap();
    fs::write(moved.join("new.py"), "").unwrap();
    fs::rename(&moved, root.join("late")).unwrap();
    next("late/new.py");
    write("late/new.py");
    next("late/new.py");
    std::os::unix::fs::symlink("absent.py", root.join("late/link.py")).unwrap();
    next("late/link.py");
    fs::remove_file(root.join("late/new.py")).unwrap();
    next("late/new.py");
}

#[test]
fn a_folder_that_is_not_there_is_no_reason_to_watch_none() {
    let place = tempfile::tempdir().unwrap();
    let folders = Folders::watch(&[place.path().join("gone"), place.path().to_owned()]).unwrap();
    assert_eq!(folders.tree.known.len(), 1);
}

/// Whether a change of `of` is told, before one of a file that is always told.
fn tells(folders: &mut Folders, always: &Path, of: &Path) -> bool {
    fs::write(always, "x").unwrap();
    let mut told = Vec::new();
    while !told.iter().any(|path| path == always) {
        told.extend(folders.changed().unwrap());
    }
    told.iter().any(|path| path == of)
}

/// Reported of a project in `/srv/templates/shop`: every write to its database reloaded it.
#[test]
fn a_folder_above_the_project_says_nothing_of_its_files() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("templates/shop");
    fs::create_dir_all(root.join("mail/templates")).unwrap();
    let mut folders = Folders::watch(std::slice::from_ref(&root)).unwrap();
    for (file, told) in [("db.sqlite3", false), ("mail/log", false), ("mail/templates/hello.txt", true)] {
        let file = root.join(file);
        fs::write(&file, "x").unwrap();
        assert_eq!(tells(&mut folders, &root.join("always.py"), &file), told, "{}", file.display());
    }
}

/// Reported of `git checkout` between branches of which one lacks the folder, and of a link `current` that a deployment switches.
#[test]
fn a_watched_folder_may_go_and_come_back() {
    let place = tempfile::tempdir().unwrap();
    let (root, other) = (place.path().join("a/b/lib"), place.path().join("other"));
    fs::create_dir_all(&other).unwrap();
    let always = other.join("always.py");
    let mut folders = Folders::watch(&[root.clone(), other]).unwrap();
    fs::create_dir_all(place.path().join("a")).unwrap();
    assert!(!tells(&mut folders, &always, &root));
    for _ in 0..2 {
        fs::create_dir_all(root.join("deep")).unwrap();
        assert!(tells(&mut folders, &always, &root), "it came");
        fs::write(root.join("deep/x.py"), "x").unwrap();
        assert!(tells(&mut folders, &always, &root.join("deep/x.py")));
        fs::remove_dir_all(place.path().join("a/b")).unwrap();
        assert!(tells(&mut folders, &always, &root.join("deep/x.py")), "it went");
        tells(&mut folders, &always, &root);
    }
    // The folder, or the one above, is a link that leads elsewhere from now on.
    for release in ["r1", "r2"] {
        fs::create_dir_all(place.path().join(release).join("b/lib")).unwrap();
    }
    for (turn, release) in ["r1", "r2", "r1"].into_iter().enumerate() {
        let link = place.path().join("new");
        std::os::unix::fs::symlink(release, &link).unwrap();
        if turn == 0 {
            fs::remove_dir_all(place.path().join("a")).unwrap();
        }
        fs::rename(&link, place.path().join("a")).unwrap();
        assert!(tells(&mut folders, &always, &root), "{turn}");
        fs::write(root.join("x.py"), "x").unwrap();
        assert!(tells(&mut folders, &always, &root.join("x.py")), "{turn}");
    }
}

/// Reported of a folder of templates and of a module that are links to those of another project.
#[test]
fn links_are_followed_and_loops_end() {
    use std::os::unix::fs::symlink;
    let place = tempfile::tempdir().unwrap();
    let (root, real) = (place.path().join("site"), place.path().join("real"));
    for folder in [&root, &real.join("templates"), &real.join("other")] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(real.join("module.py"), "x").unwrap();
    symlink(&root, real.join("loop")).unwrap();
    symlink(&real, root.join("linked")).unwrap();
    symlink(real.join("module.py"), root.join("alias.py")).unwrap();
    symlink("nowhere", root.join("dangling.py")).unwrap();
    let mut folders = Folders::watch(std::slice::from_ref(&root)).unwrap();
    let always = root.join("always.py");
    fs::write(real.join("templates/x.txt"), "x").unwrap();
    assert!(tells(&mut folders, &always, &root.join("linked/templates/x.txt")));
    // As editors save, twice: the second one meets the file that the first one has put there.
    for _ in 0..2 {
        fs::write(real.join("new"), "x").unwrap();
        fs::rename(real.join("new"), real.join("module.py")).unwrap();
        assert!(tells(&mut folders, &always, &root.join("alias.py")));
    }
    fs::write(real.join("module.py"), "x").unwrap();
    assert!(tells(&mut folders, &always, &root.join("alias.py")));
    // A link that is switched, and one that goes.
    symlink(real.join("other"), root.join("new")).unwrap();
    assert!(tells(&mut folders, &always, &root.join("new")));
    fs::rename(root.join("new"), root.join("linked")).unwrap();
    assert!(tells(&mut folders, &always, &root.join("linked")));
    fs::write(real.join("other/y.py"), "x").unwrap();
    assert!(tells(&mut folders, &always, &root.join("linked/y.py")));
    fs::remove_file(root.join("linked")).unwrap();
    assert!(tells(&mut folders, &always, &root.join("linked")));
    fs::hard_link(real.join("module.py"), root.join("second.py")).unwrap();
    assert!(tells(&mut folders, &always, &root.join("second.py")));
    // What was moved away is no part of the project.
    fs::create_dir(root.join("part")).unwrap();
    tells(&mut folders, &always, &root);
    fs::rename(root.join("part"), place.path().join("part")).unwrap();
    assert!(tells(&mut folders, &always, &root.join("part")));
    fs::write(place.path().join("part/x.py"), "x").unwrap();
    assert!(!tells(&mut folders, &always, &root.join("part/x.py")));
}
