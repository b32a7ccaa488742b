-- wrk: sixteen requests at a time on each connection.
local pipelined

init = function()
  pipelined = string.rep(wrk.format(nil, "/"), 16)
end

request = function() return pipelined end
