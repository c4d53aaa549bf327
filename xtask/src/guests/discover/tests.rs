use super::*;

fn guest(component: &str, folder: &str) -> Guest {
    Guest {
        package: format!("package-{component}"),
        library: component.replace('-', "_"),
        component: component.to_owned(),
        kind: Kind::of(Path::new(folder)),
    }
}

fn names(guests: &[Guest]) -> Vec<&str> {
    guests.iter().map(|guest| guest.component.as_str()).collect()
}

#[test]
fn guests_are_chosen_by_the_names_of_their_components() {
    let all = vec![
        guest("builtin-a", "policies/a"),
        guest("example", "policies/examples/b"),
        guest("spin", "tests/guests/c"),
    ];
    assert_eq!(names(&select(all.clone(), &[]).expect("all")), ["builtin-a", "example", "spin"]);
    assert_eq!(names(&select(all.clone(), &["spin".into()]).expect("one")), ["spin"]);

    let error = select(all, &["spim".into()]).expect_err("no such policy").to_string();
    assert_eq!(error, "no policy is called `spim`; there are builtin-a, example, spin");
}

#[test]
fn names_that_collide_or_claim_to_be_built_in_are_refused() {
    let twice = vec![guest("spin", "tests/guests/a"), guest("spin", "tests/guests/b")];
    assert!(select(twice, &[]).expect_err("twice").to_string().contains("both name their component `spin`"));
    for odd in [guest("builtin-mine", "policies/examples/mine"), guest("affinity", "policies/affinity")] {
        assert!(select(vec![odd], &[]).expect_err("misnamed").to_string().contains("misnamed"));
    }
}

#[test]
fn every_guest_of_this_repository_says_its_name() {
    let workspace = Workspace::load().expect("the workspace");
    let guests = guests(&workspace, &[]).expect("guests");
    for name in [
        "builtin-affinity",
        "builtin-allocation",
        "builtin-retention",
        "builtin-validation",
        "rack-and-octet",
        "misbehave",
    ] {
        assert!(names(&guests).contains(&name), "{name} is missing");
    }
}
