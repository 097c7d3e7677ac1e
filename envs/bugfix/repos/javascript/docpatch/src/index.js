'use strict';

module.exports = {
  ...require('./pointer'),
  ...require('./values'),
  ...require('./patch'),
  ...require('./diff'),
  ...require('./merge'),
};
