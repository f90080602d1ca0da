"""A page in a browser, and what a visitor does there."""

from urllib.parse import quote

DECODED = "Promise.all([...document.querySelectorAll('.photo')].map((one) => one.decode()))"


class Visit:
    """A page opened from a file, with what it complained of and asked for."""

    def __init__(self, browser, folder, address="", **more):
        self.page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}} | more)
        self.complaints, self.requests = [], []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"file://{quote(str(folder))}/report.html{address}")
        self.page.wait_for_selector("#gallery[data-ready]", state="attached")

    def choose(self, **controls):
        for name, value in controls.items():
            control = self.page.locator(f".filters [name={name}]")
            control.fill(value) if name == "text" else control.select_option(value)
            self.page.wait_for_selector("#gallery[data-ready]", state="attached")

    def names(self):
        return self.page.locator(".card-name").all_text_contents()

    def count(self):
        return int(self.page.locator("#gallery-count").text_content().split()[0].replace(",", ""))

    def enlarge(self, which=0):
        self.page.locator(".card-button").nth(which).click()
        self.page.evaluate(DECODED)  # waiting for a function is evaluation, which pages forbid
