import { createTheme, Drawer, Modal, type MantineThemeOverride } from '@mantine/core';

// Colours and fonts are in app.css: the provider writes no <style> element, so that the Content-Security-Policy can forbid
// inline styles. The components below would write one to lock scrolling.
const dialog = { lockScroll: false, closeButtonProps: { 'aria-label': 'Close' } };
export const theme: MantineThemeOverride = createTheme({
  respectReducedMotion: true,
  components: {
    Modal: Modal.extend({ defaultProps: dialog }),
    Drawer: Drawer.extend({ defaultProps: dialog }),
  },
});
