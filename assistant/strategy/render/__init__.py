"""The brief as files: Markdown, Word and PDF, with its charts.

Layout alone: what the brief says was settled before. matplotlib and typst are imported when
first used; without them, `ConfigurationError` names the extra to install.
"""

from assistant.strategy.render.charts import draw
from assistant.strategy.render.docx import to_docx
from assistant.strategy.render.font import chinese_font
from assistant.strategy.render.markdown import to_markdown
from assistant.strategy.render.pdf import to_pdf
from assistant.strategy.render.write import write_brief

__all__ = ["chinese_font", "draw", "to_docx", "to_markdown", "to_pdf", "write_brief"]
