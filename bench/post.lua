-- A POST for wrk, with as many bytes as the variable POST says.
wrk.method = "POST"
wrk.body = string.rep("p", tonumber(os.getenv("POST")))
