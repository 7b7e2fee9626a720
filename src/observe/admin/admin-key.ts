/** Names the admin server's socket, where others are known by their listener's address. */
export function adminKey(host: string, port: number): string {
  return `admin ${host} ${port}`;
}
