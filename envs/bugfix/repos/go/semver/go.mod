module example.org/semver

go 1.19
