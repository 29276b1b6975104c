"""How the formats that the document names look: what is generated for them is what tcpcap takes for one."""

import datetime

import schemathesis
from hypothesis import strategies as st

addresses = st.ip_addresses().map(str)


@st.composite
def networks(draw):
    address = draw(st.ip_addresses())
    length = draw(st.integers(0, address.max_prefixlen))
    return draw(st.sampled_from([str(address), f"{address}/{length}"]))


times = st.datetimes(
    min_value=datetime.datetime(1970, 1, 1), max_value=datetime.datetime(2200, 1, 1)
).map(lambda time: time.isoformat(timespec="seconds") + "Z")

schemathesis.openapi.format("ip-address", addresses)
schemathesis.openapi.format("ip-network", networks())
schemathesis.openapi.format("date-time", times)
