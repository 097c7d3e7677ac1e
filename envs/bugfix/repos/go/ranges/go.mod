module example.org/ranges

go 1.19
