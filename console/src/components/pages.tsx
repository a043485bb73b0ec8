import { Button } from '@mantine/core';
import { css } from './ui';

// Forward and back through pages; page is 0-based.
export function Pages({ page, pages, onPage }: { page: number; pages: number; onPage: (page: number) => void }) {
  return (
    <nav className={css.panelHead} aria-label="Pages" style={{ borderTop: '1px solid var(--line)', borderBottom: 0 }}>
      <Button size="xs" variant="default" disabled={page === 0} onClick={() => onPage(page - 1)}>
        Previous
      </Button>
      <span className="dim small num">
        Page {page + 1} of {pages}
      </span>
      <Button size="xs" variant="default" disabled={page + 1 >= pages} onClick={() => onPage(page + 1)}>
        Next
      </Button>
    </nav>
  );
}
