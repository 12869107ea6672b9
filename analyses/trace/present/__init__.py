"""The trace as a page: sections with figures and tables, and the page with a slider over the steps."""
