VALUE = "from python-path"
